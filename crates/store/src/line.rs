//! A record as a line of JSON, taken apart again.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
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
    fn parse(line: &[u8]) -> Option<Self> {
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        let outcome = Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == line.outcome)?;
        Some(Self {
            position: line.pos,
            outcome,
        })
    }
}

/// All of a line.
#[derive(Debug, Deserialize)]
pub(crate) struct Line<'a> {
    pub(crate) pos: u64,
    #[serde(borrow)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) url: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) outcome: Cow<'a, str>,
    pub(crate) status: Option<u16>,
    #[serde(borrow)]
    pub(crate) from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) at: Cow<'a, str>,
    pub(crate) ms: f64,
    pub(crate) attempts: u32,
    #[serde(borrow)]
    pub(crate) final_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) headers: Option<&'a RawValue>,
    /// `null` is a body.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) body: Option<&'a RawValue>,
    pub(crate) body_base64: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) error: Option<LineError<'a>>,
}

/// The failure in a line.
#[derive(Debug, Deserialize)]
pub(crate) struct LineError<'a> {
    #[serde(borrow)]
    pub(crate) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) message: Cow<'a, str>,
}

/// A value that is there, whatever it is.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_a_body_and_no_body_is_none() {
        let body = |fields: &str| {
            let line = format!(
                "{{\"pos\":1,\"url\":\"u\",\"outcome\":\"ok\",\"at\":\"\",\"ms\":1.0,\"attempts\":1{fields}}}"
            );
            let line: Line<'_> = serde_json::from_str(&line).unwrap();
            line.body.map(|body| body.get().to_owned())
        };
        assert_eq!(body(",\"body\":null").as_deref(), Some("null"));
        assert_eq!(body(",\"body\":{}").as_deref(), Some("{}"));
        assert_eq!(body(""), None);
    }

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
