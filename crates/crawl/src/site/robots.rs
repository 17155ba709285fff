//! robots.txt: what a site does not want fetched by programs (RFC 9309).

use std::time::Duration;

use http::StatusCode;
use v6kit_model::{ErrorKind, Fault};

use crate::site::robots_rules::{RobotsRules, token};

/// Whether robots.txt counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RobotsPolicy {
    /// What it disallows is not fetched, and its crawl delay is kept.
    Obey,
    /// It is not even asked for.
    Ignore,
}

/// As much of a robots.txt is read (RFC 9309 section 2.5).
const READ: usize = 500 << 10;

/// What a destination allows.
pub(crate) enum Rules {
    /// Everything.
    All,
    /// Nothing: the site cannot say at present (RFC 9309 section 2.3.1.4).
    Unavailable(StatusCode),
    /// Nothing: the site says that it has rules elsewhere, where they cannot be had for this reason.
    Unreachable(String),
    /// What these rules do.
    Some(RobotsRules),
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::All => "All",
            Self::Unavailable(_) => "Unavailable",
            Self::Unreachable(_) => "Unreachable",
            Self::Some(_) => "Some",
        })
    }
}

impl Rules {
    /// The rules for `agent` in an answer to `/robots.txt`.
    pub(crate) fn of(status: StatusCode, body: &[u8], agent: &str) -> Self {
        if status.is_server_error() {
            return Self::Unavailable(status);
        }
        if !status.is_success() {
            return Self::All;
        }
        Self::Some(RobotsRules::parse(whole_lines(body), agent))
    }

    /// Whether `url` may be fetched.
    ///
    /// # Errors
    /// [`ErrorKind::Robots`].
    pub(crate) fn judge(&self, url: &str) -> Result<(), Fault> {
        match self {
            Self::All => Ok(()),
            Self::Unavailable(status) => Err(Fault::new(
                ErrorKind::Robots,
                format!(
                    "robots.txt cannot be had (status {}), which forbids everything",
                    status.as_u16()
                ),
            )),
            Self::Unreachable(why) => Err(Fault::new(
                ErrorKind::Robots,
                format!("robots.txt cannot be had from where it is ({why}), which forbids everything"),
            )),
            Self::Some(rules) if rules.allows(target(url).as_bytes()) => Ok(()),
            Self::Some(_) => Err(Fault::new(ErrorKind::Robots, "robots.txt disallows it")),
        }
    }

    /// The pause between requests that the site asks for.
    pub(crate) fn delay(&self) -> Option<Duration> {
        match self {
            Self::Some(rules) => rules.delay(),
            Self::All | Self::Unavailable(_) | Self::Unreachable(_) => None,
        }
    }
}

/// What is read of `body`: of a longer one the lines that are there whole, since a path cut short allows more.
fn whole_lines(body: &[u8]) -> &[u8] {
    match body.get(..READ) {
        Some(read) => &read[..memchr::memrchr2(b'\n', b'\r', read).unwrap_or(0)],
        None => body,
    }
}

/// The path and query of a URL, by which rules are matched.
fn target(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let target = behind.find(['/', '?', '#']).map_or("", |at| &behind[at..]);
    let target = target.split('#').next().unwrap_or_default();
    if target.is_empty() { "/" } else { target }
}

/// The product token of a `User-Agent`, by which robots.txt knows it.
pub(crate) fn product(agent: &str) -> &str {
    &agent[..token(agent.as_bytes()).len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str, path: &str) -> bool {
        let rules = Rules::of(StatusCode::OK, text.as_bytes(), "v6kit");
        rules.judge(&format!("https://example.org{path}")).is_ok()
    }

    /// The examples of RFC 9309 sections 5.1 and 5.2, and its rules on groups and matching.
    #[test]
    fn rules_are_those_of_the_standard() {
        let simple = "User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
                      User-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n";
        assert!(!allowed(simple, "/example/page.html"));
        assert!(allowed(simple, "/publications/"));
        assert!(!allowed(simple, "/x.gif") && allowed(simple, "/x.gif2"));
        let longest = "User-Agent: v6kit\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n";
        assert!(!allowed(longest, "/example/page/disallowed.gif"));
        assert!(allowed(longest, "/example/page/other"));
        let own = "User-agent: *\nDisallow: /\n\nUser-agent: V6KIT\nDisallow: /private\n";
        assert!(allowed(own, "/items/1") && !allowed(own, "/private/1"));
        assert!(!allowed("user-agent: *\ndisallow: /", "/"));
        assert!(!allowed("user-agent: *\ndisallow: /\ndisallow:\n", "/x"));
        assert!(
            !allowed("user-agent: *\ndisallow: /%61/\n", "/a/")
                && !allowed("user-agent: *\ndisallow: /a/\n", "/%61/")
        );
        assert!(allowed("user-agent: *\ndisallow: /a%2Fb\n", "/a/b"));
    }

    #[test]
    fn an_answer_that_is_no_robots_txt_restricts_nobody_and_a_failing_site_everybody() {
        let judged = |status, body: &[u8]| Rules::of(status, body, "v6kit").judge("https://h/x");
        assert_eq!(judged(StatusCode::OK, b"<html>Not here</html>"), Ok(()));
        let mut long = b"User-agent: *\nDisallow: /x\n".repeat(READ / 28);
        long.resize(READ - 5, b'#');
        long.extend_from_slice(b"\nAllow: /x\n");
        assert!(
            judged(StatusCode::OK, &long).is_err(),
            "a line that is cut is not read"
        );
        assert_eq!(
            judged(StatusCode::NOT_FOUND, b"User-agent: *\nDisallow: /"),
            Ok(())
        );
        assert_eq!(judged(StatusCode::FORBIDDEN, b""), Ok(()));
        assert_eq!(
            judged(StatusCode::SERVICE_UNAVAILABLE, b"").unwrap_err().kind,
            ErrorKind::Robots
        );
    }

    #[test]
    fn a_crawl_delay_is_read() {
        let rules = Rules::of(StatusCode::OK, b"User-agent: *\nCrawl-delay: 2.5\n", "v6kit");
        assert_eq!(rules.delay(), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn the_product_is_the_first_word_of_the_agent() {
        assert_eq!(product(v6kit_model::input::USER_AGENT), "v6kit");
        assert_eq!(product("Mozilla/5.0 (X11)"), "Mozilla");
        assert_eq!(product("my_crawler"), "my_crawler");
    }
}
