//! A record as a line of JSON, taken apart again.

use std::borrow::Cow;

use serde::Deserialize;
use v6kit_model::Outcome;

/// What every line begins with: enough to choose by, and cheap to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineHead {
    pub(crate) position: u64,
    pub(crate) outcome: Outcome,
}

impl LineHead {
    /// Reads the beginning of a line that [`RecordWriter`](crate::record::RecordWriter) wrote.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"{\"pos\":")?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let position = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        let Some(url) = rest[digits..].strip_prefix(b",\"url\":\"") else {
            return Self::parse(line);
        };
        // A quotation mark within the URL has a backslash before it, so that this is found at its end only.
        let mark = b"\",\"outcome\":\"";
        let after = &url[memchr::memmem::find(url, mark)? + mark.len()..];
        let name = &after[..memchr::memchr(b'"', after)?];
        let outcome = Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.as_str().as_bytes() == name)?;
        Some(Self { position, outcome })
    }

    /// The same of a line with an `id`, which may hold anything.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let line: HeadFields<'_> = serde_json::from_slice(line).ok()?;
        let outcome = Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == line.outcome)?;
        Some(Self {
            position: line.pos,
            outcome,
        })
    }
}

/// Where the head is, wherever it stands among the others.
#[derive(Deserialize)]
struct HeadFields<'a> {
    pos: u64,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_found_behind_any_url() {
        let line = br#"{"pos":12,"url":"http://h/\",\"outcome\":\"fatal","outcome":"absent","status":404}"#;
        assert_eq!(
            LineHead::read(line),
            Some(LineHead {
                position: 12,
                outcome: Outcome::Absent
            })
        );
        let line = br#"{"pos":3,"id":{"url":"x","outcome":"fatal"},"url":"http://h/","outcome":"ok","at":"","ms":0.0,"attempts":1}"#;
        assert_eq!(
            LineHead::read(line),
            Some(LineHead {
                position: 3,
                outcome: Outcome::Ok
            })
        );
        for line in ["", "{\"pos\":,", "{\"pos\":1,\"url\":\"x\",\"outcome\":\"odd\"}"] {
            assert_eq!(LineHead::read(line.as_bytes()), None, "{line}");
        }
    }
}
