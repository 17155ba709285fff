//! One line of output per item.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName};
use serde_json::value::RawValue;
use v6kit_model::url::without_credentials;
use v6kit_model::{Fault, Headers, without_mark};

use super::addresses::AddressTexts;
use super::json::{push_json, push_milliseconds, push_number, push_text};
use super::{Payload, Record, Timing};
use crate::storage::{Content, FailedBody, FieldPath, Storage};

/// Writes records as ndjson, and remembers what is costly to format.
#[derive(Debug, Default)]
pub(crate) struct RecordWriter {
    content: Content,
    failed: FailedBody,
    extract: Vec<FieldPath>,
    /// Whether the parts of requests are told.
    pub(crate) timing: bool,
    addresses: AddressTexts,
    /// The second of `prefix`, since 1970.
    second: u64,
    /// `2026-01-01T00:00:00.`
    prefix: String,
}

impl RecordWriter {
    /// A writer of what `storage` keeps.
    pub(crate) fn new(storage: &Storage) -> Self {
        Self {
            content: storage.content,
            failed: storage.failed,
            extract: storage.extract.clone(),
            timing: storage.timing,
            ..Self::default()
        }
    }

    /// Appends one line.
    pub(crate) fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"pos\":");
        push_number(out, record.position);
        if let Some(id) = record.id {
            out.extend_from_slice(b",\"id\":");
            push_json(out, id.get().as_bytes());
        }
        out.extend_from_slice(b",\"url\":");
        push_text(out, record.url);
        out.extend_from_slice(b",\"outcome\":\"");
        out.extend_from_slice(record.outcome().as_str().as_bytes());
        out.push(b'"');
        if let Some(status) = record.status {
            out.extend_from_slice(b",\"status\":");
            out.extend_from_slice(status.as_str().as_bytes());
        }
        if let Some(from) = record.from {
            out.extend_from_slice(b",\"from\":\"");
            self.addresses.push(out, from);
            out.push(b'"');
        }
        out.extend_from_slice(b",\"at\":\"");
        self.push_time(out, record.at);
        out.extend_from_slice(b"\",\"ms\":");
        push_milliseconds(out, record.took);
        if self.timing {
            out.extend_from_slice(b",\"timing\":");
            push_timing(out, &record.timing);
        }
        out.extend_from_slice(b",\"attempts\":");
        push_number(out, record.attempts.into());
        if let Some(url) = record.final_url {
            out.extend_from_slice(b",\"final_url\":");
            push_text(out, url);
        }
        if let Some(answer) = &record.answer
            && self.content == Content::BodyAndHeaders
        {
            push_headers(out, answer.headers.map());
        }
        match (record.fault, &record.answer) {
            (Some(fault), answer) => {
                push_fault(out, fault);
                if let Some(payload) = answer
                    && self.failed == FailedBody::Kept
                    && !matches!(self.content, Content::Meta | Content::Nothing)
                {
                    push_payload(out, payload);
                }
            }
            (None, Some(_)) if matches!(self.content, Content::Meta | Content::Nothing) => {}
            (None, Some(payload)) => self.push_body(out, payload),
            (None, None) => {}
        }
        out.extend_from_slice(b"}\n");
    }

    /// The body, or of a JSON body those fields that are wanted.
    fn push_body(&self, out: &mut Vec<u8>, payload: &Payload<'_>) {
        let body = without_mark(payload.body);
        if self.extract.is_empty() || !looks_like_json(body, payload.headers) || !payload.is_portable() {
            return push_payload(out, payload);
        }
        let Ok(document) = serde_json::from_slice::<&RawValue>(body) else {
            return push_payload(out, payload);
        };
        out.extend_from_slice(b",\"body\":");
        for (index, path) in self.extract.iter().enumerate() {
            out.push(if index == 0 { b'{' } else { b',' });
            push_text(out, path.as_str());
            out.push(b':');
            push_json(
                out,
                field(document, path).map_or(&b"null"[..], |field| field.get().as_bytes()),
            );
        }
        out.push(b'}');
    }

    /// RFC 3339 in UTC with milliseconds.
    pub(crate) fn push_time(&mut self, out: &mut Vec<u8>, at: SystemTime) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.prefix.is_empty() || self.second != since.as_secs() {
            self.second = since.as_secs();
            let second = i64::try_from(self.second).unwrap_or(i64::MAX);
            let time = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            self.prefix = time.strftime("%Y-%m-%dT%H:%M:%S.").to_string();
        }
        out.extend_from_slice(self.prefix.as_bytes());
        let milliseconds = since.subsec_millis();
        out.extend([100, 10, 1].map(|unit| b'0' + (milliseconds / unit % 10) as u8));
        out.push(b'Z');
    }
}

/// An object of milliseconds.
pub(crate) fn push_timing(out: &mut Vec<u8>, timing: &Timing) {
    let parts = [
        ("name", timing.name),
        ("connect", timing.connect),
        ("tls", timing.tls),
        ("first_byte", timing.first_byte),
    ];
    out.push(b'{');
    let mut before: &[u8] = b"\"";
    for (name, took) in parts {
        let Some(took) = took else { continue };
        out.extend_from_slice(before);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        push_milliseconds(out, took);
        before = b",\"";
    }
    out.push(b'}');
}

/// The field of `document` that `path` leads to.
fn field<'d>(document: &'d RawValue, path: &FieldPath) -> Option<&'d RawValue> {
    path.steps().iter().try_fold(document, |value, step| {
        let text = value.get();
        if text.starts_with('{') {
            let mut fields: HashMap<Cow<'d, str>, &'d RawValue> = serde_json::from_str(text).ok()?;
            fields.remove(step.as_str())
        } else {
            let elements: Vec<&'d RawValue> = serde_json::from_str(text).ok()?;
            elements.get(step.parse::<usize>().ok()?).copied()
        }
    })
}

/// An object; a header that came several times has its values joined (RFC 9110 section 5.3), but for Set-Cookie,
/// whose values cannot be (RFC 6265 section 3): they are an array, also where there is one.
fn push_headers(out: &mut Vec<u8>, headers: &HeaderMap) {
    out.extend_from_slice(b",\"headers\":{");
    for (index, name) in headers.keys().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_text(out, name.as_str());
        out.push(b':');
        let values = headers.get_all(name).iter();
        let mut values = values.map(|value| shown_value(name, value.as_bytes()));
        if name == SET_COOKIE {
            for (index, value) in values.enumerate() {
                out.push(if index == 0 { b'[' } else { b',' });
                push_text(out, &value);
            }
            out.push(b']');
        } else {
            let first = values.next().unwrap_or_default();
            push_text(out, &values.fold(first, |joined, value| joined + ", " + value));
        }
    }
    out.push(b'}');
}

/// A value as it is kept: without the passwords of where it leads.
fn shown_value<'v>(name: &HeaderName, value: &'v [u8]) -> Cow<'v, str> {
    let text = text_of(value);
    if *name == LOCATION && text.contains('@') {
        return without_credentials(&text).into_owned().into();
    }
    text
}

/// A value as text: octets that are no UTF-8 are what they were when fields were ISO-8859-1 (RFC 9110 section 5.5),
/// from which they can be had back.
fn text_of(value: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(value).map_or_else(
        |_invalid| value.iter().copied().map(char::from).collect(),
        Cow::Borrowed,
    )
}

fn push_fault(out: &mut Vec<u8>, fault: &Fault) {
    out.extend_from_slice(b",\"error\":{\"kind\":\"");
    out.extend_from_slice(fault.kind.as_str().as_bytes());
    out.extend_from_slice(b"\",\"message\":");
    push_text(out, &fault.message);
    out.push(b'}');
}

fn push_payload(out: &mut Vec<u8>, payload: &Payload<'_>) {
    let body = payload.body;
    let json = without_mark(body);
    if looks_like_json(json, payload.headers) && payload.is_portable() {
        out.extend_from_slice(b",\"body\":");
        push_json(out, json.trim_ascii());
    } else if let Ok(text) = std::str::from_utf8(body)
        && !body.contains(&0)
    {
        out.extend_from_slice(b",\"body\":");
        push_text(out, text);
    } else {
        out.extend_from_slice(b",\"body_base64\":\"");
        let start = out.len();
        out.resize(start + body.len().div_ceil(3) * 4, 0);
        let written = BASE64.encode_slice(body, &mut out[start..]).unwrap_or(0);
        out.truncate(start + written);
        out.push(b'"');
    }
}

/// By its type, or, where the type says otherwise or nothing, by its first character: no text begins like
/// an object or an array and is valid JSON to its end by accident.
fn looks_like_json(body: &[u8], headers: &Headers) -> bool {
    let first = body.trim_ascii_start().first();
    matches!(first, Some(b'{' | b'['))
        || headers
            .get(&CONTENT_TYPE)
            .is_some_and(|kind| kind.windows(4).any(|part| part.eq_ignore_ascii_case(b"json")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use v6kit_model::ErrorKind;

    fn line(record: &Record<'_>) -> String {
        let mut out = Vec::new();
        RecordWriter::default().write(record, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn record<'a>(result: Result<Payload<'a>, &'a Fault>) -> Record<'a> {
        let (answer, fault) = match result {
            Ok(payload) => (Some(payload), None),
            Err(fault) => (None, Some(fault)),
        };
        Record {
            id: None,
            position: 7,
            url: "http://h/8",
            status: Some(http::StatusCode::OK),
            from: Some("2001:db8::7".parse().unwrap()),
            at: UNIX_EPOCH + Duration::from_millis(1_767_225_600_123),
            took: Duration::from_micros(12_345),
            attempts: 1,
            timing: Timing::default(),
            final_url: None,
            way: crate::record::Way::default(),
            sent: None,
            answer,
            fault,
        }
    }

    fn body_of(kind: Option<&'static str>, body: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        }
        let text = line(&record(Ok(Payload {
            headers: &headers.into(),
            body,
            portable: None,
        })));
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(parsed.is_object());
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        text.trim_end()
            .strip_suffix('}')
            .unwrap()
            .split_once("\"attempts\":1,")
            .unwrap()
            .1
            .to_owned()
    }

    #[test]
    fn a_record_has_its_fixed_form() {
        let headers = Headers::default();
        let body = br#"{"id": 8}"#;
        assert_eq!(
            line(&record(Ok(Payload {
                headers: &headers,
                body,
                portable: None,
            }))),
            "{\"pos\":7,\"url\":\"http://h/8\",\"outcome\":\"ok\",\"status\":200,\"from\":\"2001:db8::7\",\
             \"at\":\"2026-01-01T00:00:00.123Z\",\"ms\":12.3,\"attempts\":1,\"body\":{\"id\": 8}}\n"
        );
    }

    #[test]
    fn a_failure_has_its_fixed_form() {
        let fault = Fault::new(ErrorKind::ConnectTimeout, "it \"never\" came");
        let failure = Record {
            status: None,
            from: None,
            ..record(Err(&fault))
        };
        assert_eq!(
            line(&failure),
            "{\"pos\":7,\"url\":\"http://h/8\",\"outcome\":\"transient\",\"at\":\"2026-01-01T00:00:00.123Z\",\
             \"ms\":12.3,\"attempts\":1,\"error\":{\"kind\":\"connect_timeout\",\"message\":\"it \\\"never\\\" came\"}}\n"
        );
    }

    #[test]
    fn json_is_embedded_as_it_came_but_on_one_line() {
        assert_eq!(
            body_of(Some("application/json"), b"{\n \"a\":\t1.0}\r\n"),
            "\"body\":{  \"a\":\t1.0}"
        );
        assert_eq!(
            body_of(Some("application/problem+JSON"), b"12e3"),
            "\"body\":12e3"
        );
        assert_eq!(body_of(None, b"[1,2]"), "\"body\":[1,2]");
    }

    #[test]
    fn text_is_a_string_also_when_it_pretends_to_be_json() {
        assert_eq!(
            body_of(Some("text/html"), b"<p>\"\\\n\x01\x7f"),
            r#""body":"<p>\"\\\n\u0001"#.to_owned() + "\x7f\""
        );
        assert_eq!(
            body_of(Some("application/json"), b"{\"a\":"),
            r#""body":"{\"a\":""#
        );
        assert_eq!(body_of(Some("text/plain"), b"12"), r#""body":"12""#);
        assert_eq!(body_of(None, b""), r#""body":"""#);
    }

    #[test]
    fn anything_else_is_base64() {
        assert_eq!(
            body_of(Some("image/png"), b"\x89PNG\xff"),
            r#""body_base64":"iVBOR/8=""#
        );
        assert_eq!(body_of(None, b"a\0b"), r#""body_base64":"YQBi""#);
        assert_eq!(
            body_of(Some("application/json"), b"\"\xff\""),
            r#""body_base64":"Iv8i""#
        );
    }

    #[test]
    fn json_that_a_reader_refuses_is_text_and_a_byte_order_mark_is_no_part_of_json() {
        assert_eq!(
            body_of(None, br#"{"t":"\ud83d"}"#),
            r#""body":"{\"t\":\"\\ud83d\"}""#
        );
        assert_eq!(
            body_of(Some("application/json"), b"{\"a\":1,\"a\":2}"),
            r#""body":"{\"a\":1,\"a\":2}""#
        );
        assert_eq!(body_of(None, b"\xef\xbb\xbf{\"a\":1}"), "\"body\":{\"a\":1}");
        assert_eq!(
            body_of(Some("text/plain"), b"\xef\xbb\xbfa"),
            "\"body\":\"\u{feff}a\""
        );
    }

    fn line_of(storage: &Storage, body: &[u8]) -> serde_json::Value {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        headers.append("x-a", "1".parse().unwrap());
        headers.append("x-a", "2".parse().unwrap());
        let mut out = Vec::new();
        let payload = Payload {
            headers: &headers.into(),
            body,
            portable: None,
        };
        RecordWriter::new(storage).write(&record(Ok(payload)), &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn only_the_fields_that_are_wanted_are_kept() {
        let storage = Storage {
            extract: ["data.id", "items.1", "a.b"]
                .map(|path| path.parse().unwrap())
                .into(),
            ..Storage::default()
        };
        let body = br#"{"data":{"id":1.50,"more":2},"items":[7,{"x":8}],"a":"text"}"#;
        let line = line_of(&storage, body);
        assert_eq!(
            line["body"].to_string(),
            r#"{"a.b":null,"data.id":1.5,"items.1":{"x":8}}"#
        );
        // What has no fields is kept as it is.
        assert_eq!(line_of(&storage, b"oops")["body"], "oops");
    }

    #[test]
    fn headers_are_kept_on_demand_and_bodies_left_out() {
        let content = |content| Storage {
            content,
            ..Storage::default()
        };
        let line = line_of(&content(Content::BodyAndHeaders), b"{}");
        assert_eq!(line["headers"]["x-a"], "1, 2");
        assert_eq!(line["headers"]["content-type"], "application/json");
        assert!(line["body"].is_object());
        let line = line_of(&content(Content::Meta), b"{}");
        assert!(line.get("body").is_none() && line.get("headers").is_none());
        assert_eq!(line["status"], 200);
    }

    #[test]
    fn times_are_right_across_seconds() {
        let mut writer = RecordWriter::default();
        let mut seen = HashSet::new();
        for milliseconds in [0, 999, 1000, 86_399_999, 951_782_400_005] {
            let mut out = Vec::new();
            writer.push_time(&mut out, UNIX_EPOCH + Duration::from_millis(milliseconds));
            seen.insert(String::from_utf8(out).unwrap());
        }
        let expected = [
            "1970-01-01T00:00:00.000Z",
            "1970-01-01T00:00:00.999Z",
            "1970-01-01T00:00:01.000Z",
            "1970-01-01T23:59:59.999Z",
            "2000-02-29T00:00:00.005Z",
        ];
        assert_eq!(seen, expected.map(str::to_owned).into());
    }
}
