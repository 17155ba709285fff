//! Where an answer ends, and whether its connection goes on (RFC 9112 sections 6.3 and 9.3).

use std::time::Duration;

use crate::error::Violation;
use crate::fields::{elements, trim};

/// Lengths beyond this are refused.
const LONGEST: u64 = i64::MAX as u64;

/// A transfer coding below `chunked`. Nobody asked for it, and the body is no data before it is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, or `x-gzip` (RFC 9112 section 7.2).
    Gzip,
    /// `deflate`.
    Deflate,
}

/// What the server says about how long it keeps the connection, in the field `Keep-Alive` (RFC 2068 section 19.7.1.1).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// How long it may be idle.
    pub timeout: Option<Duration>,
    /// How many requests it will serve yet.
    pub max: Option<u64>,
}

/// What was asked, as far as it decides where the answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// HEAD: no answer has content.
    Head,
    /// CONNECT: with the head HTTP ends, or the reason to read on.
    Connect,
    /// Anything else.
    Other,
}

/// How it is known where content ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// There is none.
    Empty,
    /// After that many bytes, one at least.
    Exact(u64),
    /// Behind the last chunk.
    Chunked,
    /// Where the connection ends.
    UntilClose,
}

/// Where an answer ends, and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) length: Length,
    /// Whether another request may be sent behind the end.
    pub(crate) persists: bool,
    pub(crate) keep_alive: KeepAlive,
    /// In the order in which they were applied.
    pub(crate) codings: Vec<Coding>,
    /// Its end was not waited for.
    pub(crate) is_cut: bool,
}

/// What damaged lines leave in doubt.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubts {
    /// The connection cannot be trusted to go on where it seems to.
    pub(crate) ends: bool,
    /// A line could have been Transfer-Encoding.
    pub(crate) coding: bool,
    /// What stood in lines that could have been Content-Length.
    pub(crate) lengths: Vec<Vec<u8>>,
}

/// What the lines of a head say, one after another: all lines of a field count.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Content-Length was there, and said this.
    length: Option<Result<u64, Violation>>,
    /// Transfer-Encoding was there.
    is_coded: bool,
    /// Its last element so far is `chunked`.
    is_chunked: bool,
    codings: Vec<Coding>,
    bad_coding: Option<String>,
    close: bool,
    kept_alive: bool,
    keep_alive: KeepAlive,
}

impl Collected {
    /// Takes in a field. Those that do not matter here are told by the length of their name.
    pub(crate) fn add(&mut self, name: &str, value: &[u8]) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            10 if is("connection") => self.add_connection(value),
            10 if is("keep-alive") => self.add_keep_alive(value),
            14 if is("content-length") => self.add_length(value),
            17 if is("transfer-encoding") => self.add_codings(value),
            _ => {}
        }
    }

    fn add_connection(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"keep-alive") {
            // As nearly all say.
            self.kept_alive = true;
            return;
        }
        for token in elements(value) {
            self.close |= token.eq_ignore_ascii_case(b"close");
            self.kept_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn add_keep_alive(&mut self, value: &[u8]) {
        for parameter in elements(value) {
            let Some(equals) = memchr::memchr(b'=', parameter) else {
                continue;
            };
            let (name, number) = (trim(&parameter[..equals]), number(trim(&parameter[equals + 1..])));
            if name.eq_ignore_ascii_case(b"timeout") {
                self.keep_alive.timeout = number.map(Duration::from_secs).or(self.keep_alive.timeout);
            } else if name.eq_ignore_ascii_case(b"max") {
                self.keep_alive.max = number.or(self.keep_alive.max);
            }
        }
    }

    /// The same number several times is that number (RFC 9110 section 8.6).
    fn add_length(&mut self, value: &[u8]) {
        for element in value.split(|byte| *byte == b',') {
            let found = number(trim(element));
            let known = self.length.take();
            self.length = Some(match (known, found) {
                (None, Some(found)) => Ok(found),
                (Some(Ok(known)), Some(found)) if known == found => Ok(known),
                _ => Err(Violation::Length),
            });
        }
    }

    fn add_codings(&mut self, value: &[u8]) {
        self.is_coded = true;
        for coding in elements(value) {
            let is = |name: &[u8]| coding.eq_ignore_ascii_case(name);
            if self.is_chunked {
                // Nothing is applied on top of it (RFC 9112 section 6.1).
                self.refuse_coding(coding);
            } else if is(b"chunked") {
                self.is_chunked = true;
            } else if is(b"gzip") || is(b"x-gzip") {
                self.codings.push(Coding::Gzip);
            } else if is(b"deflate") {
                self.codings.push(Coding::Deflate);
            } else if !is(b"identity") {
                self.refuse_coding(coding);
            }
        }
    }

    fn refuse_coding(&mut self, coding: &[u8]) {
        let coding = || coding.escape_ascii().to_string().chars().take(40).collect();
        self.bad_coding.get_or_insert_with(coding);
    }

    /// Where the answer ends.
    ///
    /// # Errors
    /// [`Violation`], where that is not known.
    pub(crate) fn framing(
        self,
        asked: Asked,
        status: u16,
        is_old: bool,
        doubts: &Doubts,
    ) -> Result<Framing, Violation> {
        let mut persists = !self.close && !doubts.ends && (!is_old || self.kept_alive);
        let length = match (asked, status) {
            (Asked::Head, _) | (_, 304) => {
                // What they say is what GET would have brought.
                persists &= self.bad_coding.is_none() && !matches!(self.length, Some(Err(_)));
                Length::Empty
            }
            (Asked::Connect, _) | (_, 204 | 100..=199) => {
                // Neither field has a place here (RFC 9110 section 8.6, RFC 9112 section 6.1).
                persists &= !self.is_coded && matches!(self.length, None | Some(Ok(0)));
                Length::Empty
            }
            _ => self.length_of_content(doubts)?,
        };
        // A length beside Transfer-Encoding, and that in HTTP/1.0, come from somebody who reads them otherwise
        // (RFC 9112 section 6.1).
        let is_plain = !self.is_coded
            || (self.is_chunked && self.codings.is_empty() && self.length.is_none() && !is_old);
        Ok(Framing {
            persists: persists && is_plain && length != Length::UntilClose && self.keep_alive.max != Some(0),
            length,
            is_cut: false,
            keep_alive: self.keep_alive,
            codings: if length == Length::Empty {
                Vec::new()
            } else {
                self.codings
            },
        })
    }

    fn length_of_content(&self, doubts: &Doubts) -> Result<Length, Violation> {
        if doubts.coding {
            return Err(Violation::Disguised("Transfer-Encoding"));
        }
        if let Some(coding) = &self.bad_coding {
            return Err(Violation::Coding(coding.clone()));
        }
        if self.is_coded {
            return Ok(if self.is_chunked {
                Length::Chunked
            } else {
                Length::UntilClose
            });
        }
        let length = self.length.clone().transpose()?;
        let agrees = |value: &Vec<u8>| length.is_some() && number(trim(value)) == length;
        if !doubts.lengths.iter().all(agrees) {
            return Err(Violation::Disguised("Content-Length"));
        }
        Ok(match length {
            None => Length::UntilClose,
            Some(0) => Length::Empty,
            Some(length) => Length::Exact(length),
        })
    }
}

/// Digits and nothing else, up to [`LONGEST`].
fn number(text: &[u8]) -> Option<u64> {
    let add = |number: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    let number = text.iter().try_fold(0, add)?;
    (!text.is_empty() && number <= LONGEST).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(fields: &[(&str, &str)]) -> Result<Framing, Violation> {
        of(fields, Asked::Other, 200, false, &Doubts::default())
    }

    fn of(
        fields: &[(&str, &str)],
        asked: Asked,
        status: u16,
        is_old: bool,
        doubts: &Doubts,
    ) -> Result<Framing, Violation> {
        let mut collected = Collected::default();
        for (name, value) in fields {
            collected.add(name, trim(value.as_bytes()));
        }
        collected.framing(asked, status, is_old, doubts)
    }

    #[test]
    fn a_length_is_one_number_over_all_lines() {
        for (lines, length) in [
            (&["7"][..], 7),
            (&[" \t7\t "], 7),
            (&["007"], 7),
            (&["7, 7"], 7),
            (&["7 ,7", "007"], 7),
            (&["9223372036854775807"], LONGEST),
        ] {
            let fields: Vec<_> = lines.iter().map(|value| ("Content-Length", *value)).collect();
            let framing = framing(&fields).unwrap();
            assert_eq!(
                (framing.length, framing.persists),
                (Length::Exact(length), true),
                "{lines:?}"
            );
        }
        for lines in [
            &["+7"][..],
            &["-7"],
            &[""],
            &["7,"],
            &[",7"],
            &["7 7"],
            &["7;x"],
            &["0x7"],
            &["7.0"],
            &["7", "8"],
            &["7", ""],
            &["x", "7"],
            &["٧"],
            &["9223372036854775808"],
            &["18446744073709551616"],
            &["18446744073709551623"],
        ] {
            let fields: Vec<_> = lines.iter().map(|value| ("content-LENGTH", *value)).collect();
            assert_eq!(framing(&fields), Err(Violation::Length), "{lines:?}");
        }
    }

    #[test]
    fn chunks_win_over_a_length_and_end_the_connection() {
        let te = ("Transfer-Encoding", "chunked");
        for (fields, persists) in [
            (&[te][..], true),
            (&[("transfer-encoding", "CHUNKED ,")], true),
            (&[te, ("Content-Length", "3")], false),
            (&[("Content-Length", "3"), te], false),
            (&[("Content-Length", "0"), te], false),
            (&[("Content-Length", "x"), te], false),
            (
                &[
                    ("Transfer-Encoding", "identity, chunked"),
                    ("Connection", "close"),
                ],
                false,
            ),
        ] {
            let framing = framing(fields).unwrap();
            assert_eq!(
                (framing.length, framing.persists),
                (Length::Chunked, persists),
                "{fields:?}"
            );
        }
        let old = of(
            &[te, ("Connection", "keep-alive")],
            Asked::Other,
            200,
            true,
            &Doubts::default(),
        )
        .unwrap();
        assert_eq!((old.length, old.persists), (Length::Chunked, false));
    }

    #[test]
    fn codings_that_are_known_are_told_and_others_are_refused() {
        for (value, length, codings) in [
            ("gzip, chunked", Length::Chunked, vec![Coding::Gzip]),
            (
                "deflate,x-gzip , chunked",
                Length::Chunked,
                vec![Coding::Deflate, Coding::Gzip],
            ),
            ("gzip", Length::UntilClose, vec![Coding::Gzip]),
            ("identity", Length::UntilClose, vec![]),
        ] {
            let framing = framing(&[("Transfer-Encoding", value), ("Content-Length", "7")]).unwrap();
            assert_eq!(
                (framing.length, framing.codings, framing.persists),
                (length, codings, false),
                "{value}"
            );
        }
        for lines in [
            &["xchunked"][..],
            &["chunked, x"],
            &["chunked, gzip"],
            &["chunked, chunked"],
            &["chunked", "chunked"],
            &["chunked;q=1"],
            &["\"chunked\""],
            &["chunked?"],
            &["compress, chunked"],
        ] {
            let fields: Vec<_> = lines.iter().map(|value| ("Transfer-Encoding", *value)).collect();
            assert!(matches!(framing(&fields), Err(Violation::Coding(_))), "{lines:?}");
        }
    }

    #[test]
    fn close_wins_on_any_line_and_old_servers_close_unless_they_say_otherwise() {
        let length = ("Content-Length", "7");
        for (lines, new, old) in [
            (&[][..], true, false),
            (&["keep-alive"], true, true),
            (&["close"], false, false),
            (&["keep-alive", "x , CLOSE"], false, false),
            (&["close", "keep-alive"], false, false),
            (&[", ,close,"], false, false),
            (&["closed, x-close"], true, false),
        ] {
            let mut fields = vec![length];
            fields.extend(lines.iter().map(|value| ("Connection", *value)));
            for (is_old, persists) in [(false, new), (true, old)] {
                let framing = of(&fields, Asked::Other, 200, is_old, &Doubts::default()).unwrap();
                assert_eq!(framing.persists, persists, "{lines:?} {is_old}");
            }
        }
        assert_eq!(
            framing(&[]).map(|framing| (framing.length, framing.persists)),
            Ok((Length::UntilClose, false))
        );
    }

    #[test]
    fn answers_without_content_end_with_their_head() {
        let none = Doubts::default();
        for (asked, status, fields, persists) in [
            (Asked::Head, 200, &[("Content-Length", "10000000000")][..], true),
            (Asked::Head, 404, &[("Transfer-Encoding", "chunked")], true),
            (Asked::Head, 200, &[], true),
            (Asked::Head, 200, &[("Content-Length", "x")], false),
            (Asked::Other, 304, &[("Content-Length", "5")], true),
            (Asked::Other, 204, &[], true),
            (Asked::Other, 204, &[("Content-Length", "0")], true),
            (Asked::Other, 204, &[("Content-Length", "5")], false),
            (Asked::Other, 204, &[("Transfer-Encoding", "chunked")], false),
            (Asked::Connect, 200, &[], true),
        ] {
            let framing = of(fields, asked, status, false, &none).unwrap();
            assert_eq!(
                (framing.length, framing.persists),
                (Length::Empty, persists),
                "{status} {fields:?}"
            );
        }
    }

    #[test]
    fn what_resembles_a_field_of_the_framing_takes_the_answer_with_it_unless_the_end_is_known() {
        let disguised = |length: &str| Doubts {
            ends: true,
            coding: false,
            lengths: vec![length.into()],
        };
        let coding = Doubts {
            ends: true,
            coding: true,
            lengths: vec![],
        };
        let read = |fields: &[(&str, &str)], status, doubts: &Doubts| {
            of(fields, Asked::Other, status, false, doubts)
        };
        let length = [("Content-Length", "7")];
        assert!(read(&[], 200, &disguised("7")).is_err());
        assert!(read(&length, 200, &disguised("8")).is_err());
        assert!(read(&length, 200, &coding).is_err());
        for (fields, status, doubts) in [
            (&length[..], 200, disguised(" 07")),
            (&[("Transfer-Encoding", "chunked")], 200, disguised("8")),
            (&[], 204, coding),
        ] {
            assert!(
                !read(fields, status, &doubts).unwrap().persists,
                "{fields:?} {status}"
            );
        }
    }

    #[test]
    fn hints_are_taken_where_they_are_numbers() {
        for (value, timeout, max) in [
            ("timeout=5, max=100", Some(5), Some(100)),
            ("timeout = 5", Some(5), None),
            ("Max=1,x", None, Some(1)),
            ("timeout=-5, max=many, 5", None, None),
        ] {
            let hint = framing(&[("Content-Length", "1"), ("Keep-Alive", value)])
                .unwrap()
                .keep_alive;
            assert_eq!(
                (hint.timeout, hint.max),
                (timeout.map(Duration::from_secs), max),
                "{value}"
            );
        }
        assert!(
            !framing(&[("Content-Length", "1"), ("Keep-Alive", "max=0")])
                .unwrap()
                .persists
        );
    }
}
