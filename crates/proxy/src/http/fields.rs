//! Header fields that end at a proxy, and requests that two parsers could read differently.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Version};

use crate::refusal::Refusal;

/// Fields for one hop only, whatever `Connection` says (RFC 9110 section 7.6.1, RFC 9112 appendix C.2.2).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Fields that `Connection` cannot declare to be for one hop: without them the message changes its meaning.
const NEVER_HOP_BY_HOP: [&str; 2] = ["host", "content-length"];

/// Removes what is meant for this hop.
pub(super) fn strip_hop_by_hop(fields: &mut HeaderMap) {
    let listed: Vec<HeaderName> = fields
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| {
            !NEVER_HOP_BY_HOP
                .iter()
                .any(|never| never.eq_ignore_ascii_case(name))
        })
        .filter_map(|name| name.parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&listed) {
        fields.remove(name);
    }
}

/// Refuses requests whose end two parsers could see in different places, or that name two hosts
/// (RFC 9112 sections 3.2 and 6.3). What is malformed in itself is refused by hyper before.
pub(super) fn check_framing(method: &Method, version: Version, fields: &HeaderMap) -> Result<(), Refusal> {
    let bad = |why| Err(Refusal::BadRequest { why });
    let codings: Vec<&HeaderValue> = fields.get_all(TRANSFER_ENCODING).iter().collect();
    let lengths: Vec<&HeaderValue> = fields.get_all(CONTENT_LENGTH).iter().collect();
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => {}
        ([], [length]) if is_number(length) => {}
        ([], _) => return bad("Content-Length is not one number"),
        (_, [_, ..]) => return bad("Transfer-Encoding and Content-Length exclude each other"),
        ([coding], []) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {}
        _ => return bad("Transfer-Encoding is not just `chunked`"),
    }
    if *method == Method::TRACE && !(codings.is_empty() && lengths.is_empty()) {
        return bad("a TRACE request has no content");
    }
    match fields.get_all(HOST).iter().count() {
        0 if version >= Version::HTTP_11 => bad("the Host field is missing"),
        0 | 1 => Ok(()),
        _ => bad("the Host field occurs twice"),
    }
}

fn is_number(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty() && bytes.len() <= 19 && bytes.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn check(lines: &[(&str, &str)]) -> Result<(), Refusal> {
        let mut fields = fields(lines);
        fields.entry(HOST).or_insert(HeaderValue::from_static("a"));
        check_framing(&Method::POST, Version::HTTP_11, &fields)
    }

    #[test]
    fn hop_by_hop_fields_go_with_those_that_connection_lists() {
        let mut fields = fields(&[
            ("connection", "close, X-Private"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic YTpi"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("x-private", "1"),
            ("accept", "*/*"),
        ]);
        strip_hop_by_hop(&mut fields);
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn connection_cannot_take_the_host_or_the_length_away() {
        let mut fields = fields(&[
            ("connection", "Host, content-length"),
            ("host", "a"),
            ("content-length", "5"),
        ]);
        strip_hop_by_hop(&mut fields);
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn requests_with_two_possible_ends_are_refused() {
        assert!(check(&[]).is_ok());
        assert!(check(&[("content-length", "5")]).is_ok());
        assert!(check(&[("transfer-encoding", "Chunked")]).is_ok());
        for lines in [
            &[("content-length", "5"), ("transfer-encoding", "chunked")][..],
            &[("content-length", "5"), ("content-length", "6")],
            &[("content-length", "5"), ("content-length", "5")],
            &[("content-length", "5, 5")],
            &[("content-length", "+5")],
            &[("content-length", "99999999999999999999")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked, identity")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "xchunked")],
            &[("host", "a"), ("host", "b")],
        ] {
            assert!(check(lines).is_err(), "{lines:?}");
        }
    }
}
