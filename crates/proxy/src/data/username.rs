//! What a client asks for behind its user name: `user-session-abc-ttl-600-rotate-2`, `user-net64`.

use std::time::Duration;

/// A user name apart from what is asked for behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName<'a> {
    /// The name to be authenticated.
    pub user: &'a str,
    /// Which source address the client wants.
    pub source: SourceRequest<'a>,
}

/// Which source address a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SourceRequest<'a> {
    /// Another address for every connection.
    #[default]
    Another,
    /// Another /64 for every connection.
    AnotherNet64,
    /// The address of a session.
    Session {
        /// The session's name, unique per user.
        id: &'a str,
        /// After how long the session moves to another address.
        ttl: Option<Duration>,
        /// The client's count of the addresses that it has had enough of.
        turn: u64,
    },
}

/// Why the part behind a user name cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    /// `-session-` without a name, or one that is too long.
    #[error("`-session-` needs a name of 1 to 128 characters")]
    Session,
    /// `-ttl-` without a number of seconds.
    #[error("`-ttl-` needs a number of seconds from 1 to 31536000, not `{text}`")]
    Ttl {
        /// What was given.
        text: String,
    },
    /// `-rotate-` without a number.
    #[error(
        "`-rotate-` needs a number, which gives the session another address each time it is another one, not `{text}`"
    )]
    Turn {
        /// What was given.
        text: String,
    },
    /// `-rotate-` without `-session-`.
    #[error("`-rotate-` needs a `-session-`: without one every connection has another address")]
    TurnAlone,
    /// `-ttl-` without `-session-`.
    #[error("`-ttl-` needs a `-session-`: without one every connection has another address")]
    TtlAlone,
    /// `-session-` and `-net64` together.
    #[error("`-net64` and `-session-` exclude each other: a session keeps its address")]
    SessionAndNet64,
    /// The same mark twice.
    #[error("`-{mark}` is given twice")]
    Twice {
        /// `session`, `ttl`, `rotate` or `net64`.
        mark: &'static str,
    },
}

const MARKS: [&str; 4] = ["session", "ttl", "rotate", "net64"];
const MAX_SESSION: usize = 128;
const MAX_TTL: u64 = 365 * 24 * 60 * 60;

impl<'a> UserName<'a> {
    /// Splits a user name as a client sent it.
    ///
    /// # Errors
    /// [`UserNameError`].
    pub fn parse(text: &'a str) -> Result<Self, UserNameError> {
        let Some(start) = next_mark(text) else {
            return Ok(Self {
                user: text,
                source: SourceRequest::Another,
            });
        };
        let user = &text[..start];
        let mut rest = &text[start..];
        let (mut session, mut ttl, mut turn, mut net64) = (None, None, None, None);
        while let Some((mark, behind)) = mark_at(rest) {
            let end = next_mark(behind).unwrap_or(behind.len());
            let value = behind[..end].strip_prefix('-').unwrap_or(&behind[..end]);
            let slot = match mark {
                "session" => &mut session,
                "ttl" => &mut ttl,
                "rotate" => &mut turn,
                _ => &mut net64,
            };
            if slot.replace(value).is_some() {
                return Err(UserNameError::Twice { mark });
            }
            rest = &behind[end..];
        }
        Ok(Self {
            user,
            source: source_request(session, ttl, turn, net64)?,
        })
    }
}

fn source_request<'a>(
    session: Option<&'a str>,
    ttl: Option<&str>,
    turn: Option<&str>,
    net64: Option<&str>,
) -> Result<SourceRequest<'a>, UserNameError> {
    let ttl = ttl.map(parse_ttl).transpose()?;
    let turn = turn.map(parse_turn).transpose()?;
    if turn.is_some() && session.is_none() {
        return Err(UserNameError::TurnAlone);
    }
    match (session, ttl, net64) {
        (Some(_), _, Some(_)) => Err(UserNameError::SessionAndNet64),
        (Some(id), ttl, None) if (1..=MAX_SESSION).contains(&id.len()) => Ok(SourceRequest::Session {
            id,
            ttl,
            turn: turn.unwrap_or(0),
        }),
        (Some(_), _, None) => Err(UserNameError::Session),
        (None, Some(_), _) => Err(UserNameError::TtlAlone),
        (None, None, Some(_)) => Ok(SourceRequest::AnotherNet64),
        (None, None, None) => Ok(SourceRequest::Another),
    }
}

fn parse_ttl(text: &str) -> Result<Duration, UserNameError> {
    text.parse()
        .ok()
        .filter(|seconds| (1..=MAX_TTL).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| UserNameError::Ttl { text: shown(text) })
}

fn parse_turn(text: &str) -> Result<u64, UserNameError> {
    text.parse()
        .map_err(|_not_a_number| UserNameError::Turn { text: shown(text) })
}

fn shown(text: &str) -> String {
    text.chars().flat_map(char::escape_default).take(40).collect()
}

/// Where the next mark begins.
fn next_mark(text: &str) -> Option<usize> {
    text.match_indices('-')
        .map(|(at, _)| at)
        .find(|at| mark_at(&text[*at..]).is_some())
}

/// The mark that `text` begins with, and what is behind it.
fn mark_at(text: &str) -> Option<(&'static str, &str)> {
    let text = text.strip_prefix('-')?;
    MARKS.into_iter().find_map(|mark| {
        let behind = text.strip_prefix(mark)?;
        (behind.is_empty() || behind.starts_with('-')).then_some((mark, behind))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SourceRequest<'_> {
        UserName::parse(text).unwrap().source
    }

    #[test]
    fn a_plain_name_wants_another_address_each_time() {
        for text in ["", "alice", "alice-smith", "a-sessions-b", "net64"] {
            let name = UserName::parse(text).unwrap();
            assert_eq!((name.user, name.source), (text, SourceRequest::Another));
        }
    }

    #[test]
    fn a_session_and_its_ttl_are_read_in_any_order() {
        let expected = SourceRequest::Session {
            id: "a-b.c",
            ttl: Some(Duration::from_secs(600)),
            turn: 0,
        };
        assert_eq!(source("alice-session-a-b.c-ttl-600"), expected);
        assert_eq!(source("alice-ttl-600-session-a-b.c"), expected);
        assert_eq!(UserName::parse("-session-x").unwrap().user, "");
    }

    #[test]
    fn a_client_counts_its_turns_behind_its_session() {
        let turn = |text: &str| match source(text) {
            SourceRequest::Session { turn, .. } => turn,
            other => panic!("{other:?}"),
        };
        assert_eq!(turn("a-session-x-rotate-7"), 7);
        assert_eq!(turn("a-rotate-7-session-x"), 7);
        assert_eq!(turn("a-session-x"), 0);
    }

    #[test]
    fn another_net64_is_asked_for_with_or_without_a_closing_dash() {
        assert_eq!(source("alice-net64"), SourceRequest::AnotherNet64);
        assert_eq!(source("alice-net64-"), SourceRequest::AnotherNet64);
    }

    #[test]
    fn requests_that_make_no_sense_are_refused() {
        for text in [
            "a-session",
            "a-session-",
            "a-ttl-5",
            "a-session-x-ttl-0",
            "a-session-x-ttl-soon",
            "a-session-x-net64",
            "a-rotate-1",
            "a-session-x-rotate-",
            "a-session-x-rotate-soon",
            "a-session-x-session-y",
        ] {
            assert!(UserName::parse(text).is_err(), "{text}");
        }
    }
}
