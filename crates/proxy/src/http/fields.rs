//! Header fields that end at a proxy, and responses that two parsers could read differently.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{StatusCode, Version};

use crate::data::refusal::Refusal;

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
    let found: Vec<HeaderName> = fields
        .keys()
        .filter(|name| HOP_BY_HOP.contains(name) || listed.contains(name))
        .cloned()
        .collect();
    for name in found {
        fields.remove(name);
    }
}

/// Says that the message came through here (RFC 9110 section 7.6.3). `received` is the version that it came with.
pub(super) fn say_via(fields: &mut HeaderMap, received: Version) {
    fields.append(
        VIA,
        HeaderValue::from_static(match received {
            Version::HTTP_10 => "1.0 v6kit",
            _ => "1.1 v6kit",
        }),
    );
}

/// Lets a message agree on WebSocket (RFC 6455 section 4).
pub(super) fn switch_to_websocket(fields: &mut HeaderMap) {
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Whether a response switches to WebSocket and nothing else.
pub(super) fn is_websocket(fields: &HeaderMap) -> bool {
    let mut protocols = fields.get_all(UPGRADE).iter();
    let first = protocols.next().map(HeaderValue::as_bytes);
    first.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) && protocols.next().is_none()
}

/// Whether a connection to an origin server may carry another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    Permitted,
    /// The origin's idea of where its response ends is in doubt.
    Forbidden,
}

/// Leaves one statement of where a response ends, the one that hyper goes by (RFC 9112 sections 6.1 and
/// 6.3). `length` is what hyper makes of the response. What is malformed in itself is refused by hyper.
pub(super) fn settle_response(
    status: StatusCode,
    fields: &mut HeaderMap,
    length: Option<u64>,
) -> Result<Reuse, Refusal> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Refusal::BadResponse {
            why: "the destination switches to another protocol, unasked",
        });
    }
    let codings: Vec<&HeaderValue> = fields.get_all(TRANSFER_ENCODING).iter().collect();
    let lengths = fields.get_all(CONTENT_LENGTH).iter().count();
    match (codings.as_slice(), lengths) {
        ([], 0 | 1) => Ok(Reuse::Permitted),
        ([], _) => {
            let length = length.ok_or(Refusal::BadResponse {
                why: "the response has several lengths",
            })?;
            fields.insert(CONTENT_LENGTH, length.into());
            Ok(Reuse::Forbidden)
        }
        ([coding], _) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            match fields.remove(CONTENT_LENGTH) {
                Some(_contradicts) => Ok(Reuse::Forbidden),
                None => Ok(Reuse::Permitted),
            }
        }
        _ => Err(Refusal::BadResponse {
            why: "the response's Transfer-Encoding is not just `chunked`",
        }),
    }
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
    fn via_is_added_behind_those_of_others() {
        let mut fields = fields(&[("via", "1.1 first")]);
        say_via(&mut fields, Version::HTTP_10);
        let all: Vec<_> = fields.get_all(VIA).iter().collect();
        assert_eq!(all, ["1.1 first", "1.0 v6kit"]);
    }

    #[test]
    fn only_websocket_alone_is_websocket() {
        assert!(is_websocket(&fields(&[("upgrade", "WebSocket")])));
        for lines in [&[][..], &[("upgrade", "h2c")], &[("upgrade", "websocket, h2c")]] {
            assert!(!is_websocket(&fields(lines)), "{lines:?}");
        }
        assert!(!is_websocket(&fields(&[
            ("upgrade", "websocket"),
            ("upgrade", "h2c")
        ])));
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

    fn settle(lines: &[(&str, &str)], length: Option<u64>) -> Result<(Reuse, HeaderMap), Refusal> {
        let mut fields = fields(lines);
        settle_response(StatusCode::OK, &mut fields, length).map(|reuse| (reuse, fields))
    }

    #[test]
    fn a_response_keeps_one_statement_of_its_end() {
        for (lines, length, left) in [
            (&[][..], None, 0),
            (&[("content-length", "5")], Some(5), 1),
            (&[("transfer-encoding", "Chunked")], None, 0),
        ] {
            let (reuse, fields) = settle(lines, length).unwrap();
            assert_eq!(reuse, Reuse::Permitted, "{lines:?}");
            assert_eq!(fields.get_all(CONTENT_LENGTH).iter().count(), left, "{lines:?}");
        }
        let (reuse, fields) =
            settle(&[("content-length", "5"), ("transfer-encoding", "chunked")], None).unwrap();
        assert_eq!((reuse, fields.get(CONTENT_LENGTH)), (Reuse::Forbidden, None));
        let (reuse, fields) = settle(&[("content-length", "5"), ("content-length", "5")], Some(5)).unwrap();
        assert_eq!(
            (reuse, fields.get_all(CONTENT_LENGTH).iter().count()),
            (Reuse::Forbidden, 1)
        );
    }

    #[test]
    fn responses_that_nobody_asked_for_or_can_read_are_refused() {
        for coding in ["gzip, chunked", "gzip", "chunked, chunked", "identity"] {
            assert!(
                settle(&[("transfer-encoding", coding)], None).is_err(),
                "{coding}"
            );
        }
        let switched = settle_response(StatusCode::SWITCHING_PROTOCOLS, &mut HeaderMap::new(), None);
        assert!(switched.is_err());
    }
}
