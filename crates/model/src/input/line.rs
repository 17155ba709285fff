//! A line of a list: a URL, or a JSON object with one.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::input::request::{Field, RequestSpec};
use crate::outcome::{ErrorKind, Fault};
use crate::url;

/// What a line may say beside its URL.
#[derive(Debug, Default)]
pub struct Overrides {
    /// The method, where the line names one.
    pub method: Option<Method>,
    /// Headers that replace those of the job.
    pub headers: Vec<Field>,
    /// The body, where it is not that of the job.
    pub body: Option<Bytes>,
    /// JSON that goes into the record as it is.
    pub id: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
    id: Option<Box<RawValue>>,
}

/// Reads a line: a URL, or a JSON object with `url` and perhaps `method`, `headers`, `body` and `id`.
/// The URL is appended to `out`.
///
/// # Errors
/// [`ErrorKind::BadItem`] with the number of the line, which stands in for the URL then.
pub(crate) fn read_line(line: &[u8], number: u64, out: &mut String) -> Result<Overrides, Fault> {
    let text = url::text_of(line);
    let before = out.len();
    interpret(&text, out).map_err(|why| {
        out.truncate(before);
        url::push_shown(out, &url::without_credentials(&text));
        Fault::new(ErrorKind::BadItem, format!("line {number}: {why}"))
    })
}

fn interpret(text: &str, url: &mut String) -> Result<Overrides, Box<dyn std::error::Error>> {
    if !text.starts_with('{') {
        push_encoded(text, url)?;
        return Ok(Overrides::default());
    }
    let json: JsonLine = serde_json::from_str(text).map_err(|error| error_in_line(&error))?;
    push_encoded(&json.url, url)?;
    let headers = json
        .headers
        .iter()
        .map(|(name, value)| RequestSpec::parse_header(&format!("{name}:{value}")));
    Ok(Overrides {
        method: json
            .method
            .as_deref()
            .map(RequestSpec::parse_method)
            .transpose()?,
        headers: headers.collect::<Result<_, _>>()?,
        body: json.body.map(|body| body_of(&body)),
        id: json.id,
    })
}

/// What is wrong with the JSON of a line; the number that serde_json gives is that within the line.
fn error_in_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) if error.column() > 0 => format!("{what} at column {}", error.column()),
        _ => text,
    }
}

/// A string stands for its text, everything else for its JSON.
fn body_of(body: &RawValue) -> Bytes {
    match serde_json::from_str::<String>(body.get()) {
        Ok(text) => text.into(),
        Err(_not_a_string) => Bytes::copy_from_slice(body.get().as_bytes()),
    }
}

fn push_encoded(text: &str, url: &mut String) -> Result<(), url::UrlError> {
    let (origin, path) = url::split(text)?;
    url::Origin::parse(origin)?;
    url.push_str(origin);
    url.push_str(&url::encode(path));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_urls_or_json() {
        let mut url = String::new();
        read_line(b"https://H/a b?x=\xc3\xbc", 1, &mut url).unwrap();
        assert_eq!(url, "https://H/a%20b?x=%C3%BC");
        let mut url = String::new();
        let line = br#"{"url":"http://h/","method":"PUT","headers":{"X-A":"1"},"body":{"k": 1},"id":[7]}"#;
        let overrides = read_line(line, 1, &mut url).unwrap();
        assert_eq!((url.as_str(), overrides.method), ("http://h/", Some(Method::PUT)));
        assert_eq!(overrides.body.unwrap(), &b"{\"k\": 1}"[..]);
        assert_eq!(overrides.id.unwrap().get(), "[7]");
        let text = read_line(br#"{"url":"http://h/","body":"a\nb"}"#, 1, &mut String::new()).unwrap();
        assert_eq!(text.body.unwrap(), &b"a\nb"[..]);
        let mut url = String::new();
        read_line(b"http://h/caf\xe9", 1, &mut url).unwrap();
        assert_eq!(url, "http://h/caf%E9");
    }

    #[test]
    fn a_bad_line_is_told_with_its_number_and_kept() {
        for line in [
            "h/x",
            "ftp://h/",
            "{\"url\":1}",
            "{",
            "{\"url\":\"http://h/\",\"methd\":\"GET\"}",
            "http://192.0.2.1/",
        ] {
            let mut url = String::new();
            let fault = read_line(line.as_bytes(), 17, &mut url).unwrap_err();
            assert!(fault.message.starts_with("line 17: "), "{fault}");
            assert_eq!((url.as_str(), fault.kind), (line, ErrorKind::BadItem));
        }
    }
}
