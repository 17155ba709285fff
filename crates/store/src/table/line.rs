//! A record as ndjson has it, read for its fields.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// All of a line.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) pos: u64,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) url: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) outcome: Cow<'a, str>,
    pub(super) status: Option<u16>,
    #[serde(borrow)]
    pub(super) from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) at: Cow<'a, str>,
    pub(super) ms: f64,
    pub(super) attempts: u32,
    #[serde(borrow)]
    pub(super) final_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) timing: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) headers: Option<&'a RawValue>,
    /// `null` is a body.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) body: Option<&'a RawValue>,
    pub(super) body_base64: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) error: Option<LineError<'a>>,
}

/// The failure in a line.
#[derive(Debug, Deserialize)]
pub(super) struct LineError<'a> {
    #[serde(borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) message: Cow<'a, str>,
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
}
