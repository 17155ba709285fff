//! How a client is told that it does not get what it asked for.

use std::cell::RefCell;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, PROXY_AUTHENTICATE};
use http::{Response, StatusCode};
use v6kit_net::{DialError, Hint, ResolveError};

use crate::data::refusal::Refusal;

/// Tells the kind of an error.
const ERROR_FIELD: HeaderName = HeaderName::from_static("x-v6kit-error");

/// The response for a refusal: one line of what failed, one of why, one of what to do.
pub(super) fn response(refusal: &Refusal) -> Response<Bytes> {
    let mut text = format!("error: {refusal}\n");
    if let Some(why) = refusal.message().strip_prefix(&format!("{refusal}: ")) {
        text.push_str(&format!("why: {why}\n"));
    }
    if let Some(hint) = refusal.hint() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status(refusal);
    let fields = response.headers_mut();
    fields.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    fields.insert(ERROR_FIELD, HeaderValue::from_static(refusal.kind()));
    if status(refusal) == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        fields.insert(
            PROXY_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"v6kit\", charset=\"UTF-8\""),
        );
    }
    response
}

/// The bytes of a response behind which the connection is closed.
pub(crate) fn last_answer(refusal: &Refusal) -> Vec<u8> {
    let mut response = response(refusal);
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    encode(&response)
}

thread_local! {
    /// The second that was last written as a date, and its text.
    static DATE: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Appends the `Date` of now (RFC 9110 section 6.6.1), which hyper adds by itself to what it sends.
pub(super) fn push_date(bytes: &mut Vec<u8>) {
    let now = jiff::Timestamp::now();
    DATE.with_borrow_mut(|(second, text)| {
        if *second != now.as_second() {
            let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
            text.clear();
            // It fails for years that a clock does not show.
            if printer.print_timestamp_rfc9110(&now, &mut *text).is_err() {
                return;
            }
            *second = now.as_second();
        }
        bytes.extend_from_slice(b"date: ");
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    });
}

/// The bytes of a response that hyper does not send.
pub(super) fn encode(response: &Response<Bytes>) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    push_date(&mut bytes);
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", response.body().len()).as_bytes());
    bytes.extend_from_slice(response.body());
    bytes
}

/// The status of a refusal (RFC 9110 section 15).
fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::NoCredentials | Refusal::WrongCredentials => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        Refusal::UserName(_) | Refusal::Target(_) | Refusal::BadRequest { .. } => StatusCode::BAD_REQUEST,
        Refusal::Unsupported { .. } => StatusCode::NOT_IMPLEMENTED,
        Refusal::Denied { .. } | Refusal::PinOff | Refusal::Pin { .. } | Refusal::Ipv4Only(_) => {
            StatusCode::FORBIDDEN
        }
        Refusal::Resolve(ResolveError::TimedOut { .. })
        | Refusal::Dial(DialError::TimedOut { .. })
        | Refusal::Silent => StatusCode::GATEWAY_TIMEOUT,
        Refusal::Resolve(ResolveError::Resources { .. }) => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Resolve(_) | Refusal::Dial(_) | Refusal::Upstream(_) | Refusal::BadResponse { .. } => {
            StatusCode::BAD_GATEWAY
        }
        Refusal::Full(_)
        | Refusal::ConnectRate { .. }
        | Refusal::Addresses { .. }
        | Refusal::NotDelivered { .. }
        | Refusal::PrefixSilent { .. }
        | Refusal::NotSent { .. }
        | Refusal::System(_) => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::UserConnections { .. } | Refusal::UserRate { .. } | Refusal::UserBytes { .. } => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Refusal::Idle | Refusal::HandshakeTimeout => StatusCode::REQUEST_TIMEOUT,
        Refusal::HeadTooLarge { .. } | Refusal::TooManyFields { .. } => {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_own_status() {
        let to = "[2001:db8::1]:80".parse().unwrap();
        let denied = Refusal::Denied {
            destination: "::1".parse().unwrap(),
            why: "loopback",
        };
        for (refusal, expected) in [
            (Refusal::Dial(DialError::Refused { to }), 502),
            (Refusal::Dial(DialError::TimedOut { to }), 504),
            (denied, 403),
            (Refusal::NoCredentials, 407),
            (Refusal::Full(9), 503),
        ] {
            assert_eq!(response(&refusal).status().as_u16(), expected, "{refusal}");
        }
    }
}
