//! Pages that stand between a client and the data: challenges, captchas, refusals with status 200.

use std::sync::LazyLock;

use http::header::{CONTENT_TYPE, HeaderName};
use regex::bytes::RegexSet;
use v6kit_model::{Answer, ErrorKind, Fault, Headers};

/// Headers that services set on challenges, as their documentation says.
static HEADERS: [(HeaderName, &[&str], &str); 3] = [
    // developers.cloudflare.com/cloudflare-challenges, "Detect a challenge page response"
    (
        HeaderName::from_static("cf-mitigated"),
        &["challenge"],
        "a Cloudflare challenge",
    ),
    // docs.aws.amazon.com/waf, "CAPTCHA and Challenge in AWS WAF"
    (
        HeaderName::from_static("x-amzn-waf-action"),
        &["challenge", "captcha"],
        "an AWS WAF challenge",
    ),
    (
        HeaderName::from_static("x-datadome"),
        &["challenge", "captcha", "blocked"],
        "a DataDome challenge",
    ),
];

/// What only such pages say: titles, and the scripts and forms that they are made of.
const MARKS: [(&str, &str); 12] = [
    (r"<title>\s*just a moment\.\.\.", "a Cloudflare challenge"),
    (
        r"<title>\s*attention required! \| cloudflare",
        "a Cloudflare refusal",
    ),
    (
        r"/cdn-cgi/challenge-platform/[^\x22']*/orchestrate/",
        "a Cloudflare challenge",
    ),
    (r"captcha-delivery\.com/", "a DataDome challenge"),
    (r"id=\x22px-captcha\x22", "a HUMAN challenge"),
    (r"/_Incapsula_Resource\?", "an Imperva challenge"),
    (
        r"(awswaf\.com/[^\x22']*/(challenge|captcha)\.js|AwsWafIntegration\.)",
        "an AWS WAF challenge",
    ),
    (r"errors\.edgesuite\.net/", "an Akamai refusal"),
    (
        r"<title>\s*(are you a robot|are you human|robot check|human verification|verify you are human|security check)",
        "a captcha",
    ),
    (r"(complete|solve|enter) the captcha", "a captcha"),
    (
        r"(verify|confirm|prove) (that )?you('re| are) (a )?(human|not a robot)",
        "a captcha",
    ),
    (r"unusual traffic from your (computer )?network", "a captcha"),
];

/// Such pages are small, and say it near their beginning.
const LOOKED_AT: usize = 64 << 10;

static MARKS_SET: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = MARKS.map(|(pattern, _)| format!("(?i-u){pattern}"));
    // The patterns are constants, and a test compiles them.
    RegexSet::new(patterns).expect("valid patterns")
});

/// Whether an answer, whatever its status, is a challenge rather than the data.
///
/// # Errors
/// [`ErrorKind::Challenge`].
pub(crate) fn judge(answer: &Answer) -> Result<(), Fault> {
    let found =
        by_header(&answer.headers).or_else(|| is_page(answer).then(|| by_mark(&answer.body)).flatten());
    match found {
        None => Ok(()),
        Some(what) => Err(Fault::new(ErrorKind::Challenge, format!("the answer is {what}"))),
    }
}

fn by_header(headers: &Headers) -> Option<&'static str> {
    HEADERS.iter().find_map(|(name, values, what)| {
        let value = headers.get(name)?;
        values
            .iter()
            .any(|expected| value.eq_ignore_ascii_case(expected.as_bytes()))
            .then_some(*what)
    })
}

/// Data is hardly ever HTML; where it is, only the marks tell.
fn is_page(answer: &Answer) -> bool {
    match answer.headers.get(&CONTENT_TYPE) {
        Some(kind) => kind.windows(4).any(|part| part.eq_ignore_ascii_case(b"html")),
        None => answer.body.trim_ascii_start().first() == Some(&b'<'),
    }
}

fn by_mark(body: &[u8]) -> Option<&'static str> {
    let first = MARKS_SET
        .matches(&body[..body.len().min(LOOKED_AT)])
        .iter()
        .next()?;
    Some(MARKS[first].1)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn judged(kind: &str, header: Option<(&'static str, &str)>, body: &'static str) -> Result<(), ErrorKind> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        let answer = Answer {
            status: http::StatusCode::OK,
            headers: headers.into(),
            body: body.into(),
            ..Answer::default()
        };
        judge(&answer).map_err(|fault| fault.kind)
    }

    #[test]
    fn challenges_are_recognised_with_any_status() {
        let challenge = Err(ErrorKind::Challenge);
        let html = "text/html; charset=UTF-8";
        assert_eq!(
            judged(html, None, "<html><head><title>Just a moment...</title>"),
            challenge
        );
        assert_eq!(
            judged(html, None, "<h1>Please complete the captcha to continue</h1>"),
            challenge
        );
        assert_eq!(
            judged(
                html,
                None,
                "<script src=\"https://ct.captcha-delivery.com/c.js\">"
            ),
            challenge
        );
        assert_eq!(
            judged("application/json", Some(("cf-mitigated", "challenge")), "{}"),
            challenge
        );
        assert_eq!(
            judged("text/plain", Some(("x-amzn-waf-action", "captcha")), ""),
            challenge
        );
    }

    #[test]
    fn a_body_of_no_kind_is_a_page_where_it_begins_like_one() {
        let judged = |body: &'static str| {
            let answer = Answer {
                body: body.into(),
                ..Answer::default()
            };
            judge(&answer).map_err(|fault| fault.kind)
        };
        assert_eq!(
            judged("\n <title>Just a moment...</title>"),
            Err(ErrorKind::Challenge)
        );
        assert_eq!(judged("{\"a\":\"<title>Just a moment...</title>\"}"), Ok(()));
    }

    #[test]
    fn data_is_not_taken_for_a_challenge() {
        assert_eq!(
            judged(
                "application/json",
                None,
                "{\"text\":\"Just a moment... solve the captcha\"}"
            ),
            Ok(())
        );
        assert_eq!(
            judged(
                "text/html",
                None,
                "<title>A moment in time</title><p>On captchas and robots"
            ),
            Ok(())
        );
        assert_eq!(
            judged(
                "text/html",
                None,
                "<form><div class=\"g-recaptcha\"></div></form>"
            ),
            Ok(())
        );
    }
}
