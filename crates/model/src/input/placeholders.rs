//! Places in headers, and in a body that is to be filled, that stand for what tells one item from another.
//!
//! `{}` is the line of a list, or what the braces of a URL came to, with commas between several; `{1}` to
//! `{9}` are the single ones. `{{}}` is written as `{}`.

use bytes::Bytes;
use http::header::{HeaderValue, InvalidHeaderValue};

use crate::input::line::Overrides;
use crate::input::request::{BodyForm, Field, RequestSpec};

/// Whether anything of `spec` differs from item to item.
#[must_use]
pub fn has_placeholders(spec: &RequestSpec) -> bool {
    let mut texts = spec.headers.values().map(HeaderValue::as_bytes);
    spec.body_has_places() || texts.any(has_placeholder_in)
}

impl RequestSpec {
    /// Whether places in the body are filled, and there are some.
    fn body_has_places(&self) -> bool {
        self.body_form == BodyForm::Filled && has_placeholder_in(&self.body)
    }

    /// Whether the body holds what would be filled in, were it to be filled.
    #[must_use]
    pub fn body_looks_filled(&self) -> bool {
        has_placeholder_in(&self.body)
    }
}

/// The headers and the body of `spec` with `values` in their places.
///
/// # Errors
/// A value cannot be part of a header.
pub(crate) fn substitute<V: AsRef<[u8]>>(
    spec: &RequestSpec,
    values: &[V],
) -> Result<Overrides, InvalidHeaderValue> {
    let mut overrides = Overrides::default();
    for (name, value) in &spec.headers {
        if has_placeholder_in(value.as_bytes()) {
            let is_secret = value.is_sensitive();
            let mut value = HeaderValue::from_bytes(&filled(value.as_bytes(), values))?;
            value.set_sensitive(is_secret);
            let typed = spec.spelling.of(name).unwrap_or(name.as_str()).into();
            overrides.headers.push(Field {
                name: name.clone(),
                typed,
                value,
            });
        }
    }
    if spec.body_has_places() {
        overrides.body = Some(Bytes::from(filled(&spec.body, values)));
    }
    Ok(overrides)
}

/// A place, or what stands for braces that are none.
enum Token {
    Literal,
    All,
    One(usize),
}

fn token(text: &[u8]) -> Option<(Token, usize)> {
    match text {
        [b'{', b'{', b'}', b'}', ..] => Some((Token::Literal, 4)),
        [b'{', b'}', ..] => Some((Token::All, 2)),
        [b'{', digit @ b'1'..=b'9', b'}', ..] => Some((Token::One(usize::from(digit - b'1')), 3)),
        _ => None,
    }
}

fn has_placeholder_in(text: &[u8]) -> bool {
    memchr::memchr_iter(b'{', text).any(|at| token(&text[at..]).is_some())
}

fn filled<V: AsRef<[u8]>>(text: &[u8], values: &[V]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'{', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let length = match token(rest) {
            Some((Token::Literal, length)) => {
                out.extend_from_slice(b"{}");
                length
            }
            Some((Token::All, length)) => {
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(value.as_ref());
                }
                length
            }
            Some((Token::One(index), length)) if index < values.len() => {
                out.extend_from_slice(values[index].as_ref());
                length
            }
            _ => {
                out.push(b'{');
                1
            }
        };
        rest = &rest[length..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_other_braces_stay() {
        let text = |text: &str, values: &[&str]| String::from_utf8(filled(text.as_bytes(), values)).unwrap();
        assert_eq!(text("id={}", &["7"]), "id=7");
        assert_eq!(text("{}; {2}/{1}/{3}", &["a", "b"]), "a,b; b/a/{3}");
        assert_eq!(
            text(r#"{"q":{"id":{}},"none":{{}}}"#, &["5"]),
            r#"{"q":{"id":5},"none":{}}"#
        );
        assert_eq!(text("{{}", &["x"]), "{x");
        assert_eq!(
            filled(b"\xff{}\xfe", &[b"\x80"]),
            b"\xff\x80\xfe",
            "bodies are bytes"
        );
    }

    #[test]
    fn a_request_without_places_is_the_same_for_all() {
        let mut spec = RequestSpec::new(http::Method::POST, crate::protocol::Coding::Undo);
        spec.body = Bytes::from_static(br#"{"a":{"b":1}}"#);
        assert!(!has_placeholders(&spec));
        spec.body = Bytes::from_static(b"{1}");
        assert!(!has_placeholders(&spec), "a body is sent as it is");
        spec.body_form = BodyForm::Filled;
        assert!(has_placeholders(&spec));
    }

    #[test]
    fn a_body_is_filled_where_that_is_asked_for_and_headers_always() {
        let mut spec = RequestSpec::new(http::Method::POST, crate::protocol::Coding::Undo);
        spec.body = Bytes::from_static(br#"{"query":{"match_all":{}},"id":{1}}"#);
        spec.headers.insert("x-id", HeaderValue::from_static("{}"));
        let literal = substitute(&spec, &["7"]).unwrap();
        assert!(literal.body.is_none() && literal.headers[0].value == "7");
        spec.body_form = BodyForm::Filled;
        let filled = substitute(&spec, &["7"]).unwrap().body.unwrap();
        assert_eq!(filled, &br#"{"query":{"match_all":7},"id":7}"#[..]);
    }

    #[test]
    fn a_value_that_a_header_cannot_hold_is_an_error() {
        let mut spec = RequestSpec::new(http::Method::GET, crate::protocol::Coding::Undo);
        spec.headers.insert("x-id", HeaderValue::from_static("{}"));
        assert!(substitute(&spec, &["a\nb"]).is_err());
        assert_eq!(substitute(&spec, &["ab"]).unwrap().headers[0].value, "ab");
    }
}
