//! Answers, from headers that are made once.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::LimitAnswer;

pub(super) type Answer = Response<Full<Bytes>>;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The challenge page. It has the words by which crawlers recognise one.
const CAPTCHA_PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>Are you a robot?</title></head>\n\
    <body>\n<h1>Please complete the captcha to continue</h1>\n\
    <form class=\"captcha\" action=\"/\" method=\"get\"><input name=\"captcha\"></form>\n</body>\n</html>\n";

/// The first bytes of a document made from an ID; the rest fills it up to about 320 bytes.
const ITEM_TEXT: &str = "An item of no value, made for practice. Fetch it as often and as fast as you like: \
    it is made anew from its number each time, and it is always the same. \
    Nothing is stored and nothing is lost when it is refused.";

/// What a caller is told at `/`, made once per connection.
#[derive(Debug)]
pub(super) struct CallerAddress {
    text: Bytes,
    json: Bytes,
}

impl CallerAddress {
    pub(super) fn new(address: std::net::IpAddr) -> Self {
        Self {
            text: Bytes::from(format!("{address}\n")),
            json: Bytes::from(format!("{{\"address\":\"{address}\"}}\n")),
        }
    }

    pub(super) fn answer(&self, headers: &HeaderMap) -> Answer {
        let mut told = if wants_json(headers) {
            answer(StatusCode::OK, JSON, self.json.clone())
        } else {
            answer(StatusCode::OK, TEXT, self.text.clone())
        };
        // Another caller's address would be a lie (RFC 9111 section 5.2.2.5).
        let no_store = HeaderValue::from_static("no-store");
        told.headers_mut().insert(CACHE_CONTROL, no_store);
        told
    }
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| matches!(byte, b',' | b';'))
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(b"application/json"))
    })
}

/// The document made from `id`, the path segment as it was sent.
pub(super) fn item(id: &str) -> Answer {
    let mut body = Vec::with_capacity(384);
    match serde_json::to_writer(&mut body, &Item::new(id)) {
        Ok(()) => answer(StatusCode::OK, JSON, body.into()),
        // Writing strings and numbers to memory does not fail.
        Err(_) => failed(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

#[derive(Serialize)]
struct Item<'a> {
    id: ItemId<'a>,
    name: ItemName<'a>,
    price: u64,
    stock: u64,
    rating: u64,
    checksum: Checksum,
    text: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemId<'a> {
    Number(u64),
    Text(&'a str),
}

struct ItemName<'a>(&'a str);

impl Serialize for ItemName<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("item {}", self.0))
    }
}

struct Checksum(u64);

impl Serialize for Checksum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'a> Item<'a> {
    fn new(id: &'a str) -> Self {
        let digest = fnv1a(id.as_bytes());
        Self {
            // `007` is not the number 7: a document must not answer to two IDs.
            id: match id.parse() {
                Ok(number) if !id.starts_with(['0', '+']) || id == "0" => ItemId::Number(number),
                _ => ItemId::Text(id),
            },
            name: ItemName(id),
            price: digest % 100_000,
            stock: digest >> 32 & 0xfff,
            rating: digest >> 48 & 0x7,
            checksum: Checksum(digest),
            text: ITEM_TEXT,
        }
    }
}

/// The 64-bit FNV-1a hash (draft-eastlake-fnv), spread over all bits by a final multiplication.
fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// That the server is well.
pub(super) fn healthy() -> Answer {
    answer(StatusCode::OK, TEXT, Bytes::from_static(b"ok\n"))
}

/// The status with its reason phrase as JSON.
pub(super) fn failed(status: StatusCode) -> Answer {
    let mut body = String::with_capacity(48);
    // Writing to memory does not fail.
    let _ = write!(
        body,
        "{{\"error\":\"{}\"}}",
        status.canonical_reason().unwrap_or("error")
    );
    answer(status, JSON, body.into())
}

/// 405 Method Not Allowed, with the methods that are (RFC 9110 section 15.5.6).
pub(super) fn method_not_allowed() -> Answer {
    let mut answer = failed(StatusCode::METHOD_NOT_ALLOWED);
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

/// The refusal of a caller that is over its limit for `left` more.
pub(super) fn refusal(kind: LimitAnswer, left: Duration) -> Answer {
    match kind {
        LimitAnswer::TooManyRequests => {
            let mut answer = failed(StatusCode::TOO_MANY_REQUESTS);
            answer
                .headers_mut()
                .insert(RETRY_AFTER, whole_seconds(left).into());
            answer
        }
        LimitAnswer::Forbidden => failed(StatusCode::FORBIDDEN),
        LimitAnswer::PreconditionFailed => failed(StatusCode::PRECONDITION_FAILED),
        LimitAnswer::Captcha => answer(StatusCode::OK, HTML, Bytes::from_static(CAPTCHA_PAGE.as_bytes())),
    }
}

/// Rounded up, so that a caller that waits this long is not early.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// `answer` as `method` gets it: without a body, but with its length, for HEAD (RFC 9110 section
/// 9.3.2).
pub(super) fn for_method(answer: Answer, method: &Method) -> Answer {
    if method != Method::HEAD {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let length = hyper::body::Body::size_hint(&body).lower();
    head.headers.insert(CONTENT_LENGTH, length.into());
    Response::from_parts(head, Full::default())
}

fn answer(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn body(answer: Answer) -> String {
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn an_item_is_a_document_of_about_320_bytes_made_from_its_id() {
        for id in ["1", "1000000", "18446744073709551615"] {
            let text = body(item(id)).await;
            assert!((290..=360).contains(&text.len()), "{} bytes: {text}", text.len());
            assert_eq!(text, body(item(id)).await);
            let document: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(document["id"].to_string(), id);
        }
        assert_ne!(body(item("1")).await, body(item("2")).await);
    }

    #[test]
    fn what_a_caller_is_told_is_not_for_caches() {
        let told = CallerAddress::new("2001:db8::1".parse().unwrap());
        let json = HeaderMap::from_iter([(ACCEPT, JSON)]);
        for headers in [HeaderMap::new(), json] {
            assert_eq!(told.answer(&headers).headers()[CACHE_CONTROL], "no-store");
        }
    }

    #[tokio::test]
    async fn an_id_that_is_not_a_plain_number_stays_text() {
        for id in [
            "abc",
            "007",
            "+1",
            "-1",
            "18446744073709551616",
            "a%20b",
            "\"quoted\"",
        ] {
            let document: serde_json::Value = serde_json::from_str(&body(item(id)).await).unwrap();
            assert_eq!(document["id"], id);
        }
    }

    #[test]
    fn json_is_chosen_by_the_accept_header() {
        let accept = |value: &'static str| HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]);
        assert!(wants_json(&accept("application/json")));
        assert!(wants_json(&accept("text/html;q=0.5, Application/JSON;q=0.9")));
        assert!(!wants_json(&accept("*/*")));
        assert!(!wants_json(&HeaderMap::new()));
    }

    #[test]
    fn retry_after_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(9001)), 10);
        assert_eq!(whole_seconds(Duration::from_secs(9)), 9);
    }

    #[tokio::test]
    async fn head_has_the_length_and_no_body() {
        let answer = for_method(item("7"), &Method::HEAD);
        let length = answer.headers()[CONTENT_LENGTH].to_str().unwrap().to_owned();
        assert_eq!(length, body(item("7")).await.len().to_string());
        assert_eq!(body(answer).await, "");
    }
}
