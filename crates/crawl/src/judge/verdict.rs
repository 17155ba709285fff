//! What an answer means.

use http::StatusCode;
use v6kit_model::{Answer, ErrorKind, Fault};

use crate::judge::challenge;
use crate::judge::expect::Expectations;

/// Judges a whole answer: data, or why not.
///
/// # Errors
/// The [`Fault`] that goes into the record.
pub(crate) fn judge(answer: &Answer, expected: &Expectations) -> Result<(), Fault> {
    match expected.judge_status(answer.status) {
        Some(true) => {}
        Some(false) => return Err(Fault::new(ErrorKind::Unexpected, describe(answer.status))),
        None => {
            judge_status(answer.status).map_err(|fault| challenge::judge(answer).err().unwrap_or(fault))?;
        }
    }
    challenge::judge(answer)?;
    expected.judge(answer)
}

fn judge_status(status: StatusCode) -> Result<(), Fault> {
    let kind = match status.as_u16() {
        200..=299 => return Ok(()),
        401 => ErrorKind::Unauthorized,
        404 | 410 => ErrorKind::NotFound,
        // Only a proxy says so.
        407 => ErrorKind::ProxyAuth,
        429 => ErrorKind::RateLimited,
        // 403 Forbidden, 412 as some sites' answer to too many requests, 451 for legal reasons.
        403 | 412 | 451 => ErrorKind::Forbidden,
        503 => ErrorKind::Unavailable,
        // 408 Request Timeout, 421 Misdirected Request, 425 Too Early.
        408 | 421 | 425 | 500..=599 => ErrorKind::ServerError,
        300..=399 => ErrorKind::Redirect,
        _ => ErrorKind::Status,
    };
    Err(Fault::new(kind, describe(status)))
}

fn describe(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("status {} {reason}", status.as_u16()),
        None => format!("status {}", status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use v6kit_model::Outcome;

    fn judged(status: u16, body: &'static str, expected: &[&str]) -> Result<(), (ErrorKind, String)> {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.into(),
            ..Answer::default()
        };
        let expected = expected.iter().map(|text| text.parse().unwrap()).collect();
        judge(&answer, &Expectations::new(expected, &[]).unwrap())
            .map_err(|fault| (fault.kind, fault.message.to_string()))
    }

    #[test]
    fn each_status_is_an_error_of_its_kind_and_told_with_its_name() {
        for (status, kind, text) in [
            (302, ErrorKind::Redirect, "status 302 Found"),
            (401, ErrorKind::Unauthorized, "status 401 Unauthorized"),
            (404, ErrorKind::NotFound, "status 404 Not Found"),
            (
                407,
                ErrorKind::ProxyAuth,
                "status 407 Proxy Authentication Required",
            ),
            (408, ErrorKind::ServerError, "status 408 Request Timeout"),
            (418, ErrorKind::Status, "status 418 I'm a teapot"),
            (429, ErrorKind::RateLimited, "status 429 Too Many Requests"),
            (
                451,
                ErrorKind::Forbidden,
                "status 451 Unavailable For Legal Reasons",
            ),
            (503, ErrorKind::Unavailable, "status 503 Service Unavailable"),
            (599, ErrorKind::ServerError, "status 599"),
            (600, ErrorKind::Status, "status 600"),
        ] {
            assert_eq!(judged(status, "", &[]), Err((kind, text.to_owned())));
        }
        assert_eq!(judged(299, "", &[]), Ok(()));
    }

    #[test]
    fn the_user_then_the_status_then_a_challenge_then_the_body_decide() {
        let kind = |status, body, expected: &[&str]| judged(status, body, expected).map_err(|(kind, _)| kind);
        assert_eq!(kind(404, "{}", &["status=404", "json"]), Ok(()));
        assert_eq!(kind(204, "", &["status=200"]), Err(ErrorKind::Unexpected));
        assert_eq!(
            kind(404, "x", &["status=404", "json"]),
            Err(ErrorKind::Unexpected)
        );
        let challenge = "<title>Just a moment...</title>";
        for (status, expected) in [(200, &[][..]), (403, &[]), (200, &["status=200"])] {
            assert_eq!(
                kind(status, challenge, expected),
                Err(ErrorKind::Challenge),
                "{status}"
            );
        }
    }

    #[test]
    fn every_status_has_an_outcome() {
        for (status, outcome) in [
            (404, Outcome::Absent),
            (410, Outcome::Absent),
            (403, Outcome::Blocked),
            (412, Outcome::Blocked),
            (429, Outcome::Blocked),
            (500, Outcome::Transient),
            (503, Outcome::Transient),
            (302, Outcome::Fatal),
            (400, Outcome::Fatal),
        ] {
            let fault = judge_status(StatusCode::from_u16(status).unwrap()).unwrap_err();
            assert_eq!(fault.kind.outcome(), outcome, "{status}");
        }
        assert_eq!(judge_status(StatusCode::NO_CONTENT), Ok(()));
    }
}
