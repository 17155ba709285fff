//! robots.txt: what a site does not want fetched by programs (RFC 9309).

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::Mutex;
use v6kit_model::{ErrorKind, Fault};

use crate::site::drain::Drain;
use crate::site::robots_rules::{RobotsRules, token};

/// Whether robots.txt counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RobotsPolicy {
    /// What it disallows is not fetched, and its crawl delay is kept.
    Obey,
    /// It is not even asked for.
    Ignore,
}

/// How long a robots.txt in hand holds (RFC 9309 section 2.4).
const HOLDS: Duration = Duration::from_secs(24 * 3600);

/// Between two rounds of asking for one that cannot be had.
const PAUSE: Duration = Duration::from_secs(60);

/// What is known of the robots.txt of a destination by all who ask it. One of them asks for all.
#[derive(Debug, Default)]
pub(crate) struct RobotsFile(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The rules, and until when they hold.
    rules: Option<(Arc<Rules>, Instant)>,
    /// Why they cannot be had, and until when nobody asks again.
    unreachable: Option<(Fault, Instant)>,
}

/// Why nobody knows what robots.txt says.
#[derive(Debug)]
pub(crate) enum Unasked {
    /// The crawl is being stopped.
    Stopped,
    /// It cannot be had at present.
    Unreachable(Fault),
    /// No connection to the site can be made, as for any other request.
    NoConnection(Fault),
}

/// Why asking once came to nothing.
#[derive(Debug)]
pub(crate) enum Failed {
    /// No connection could be made.
    NoConnection(Fault),
    /// The site does not say: why, and how long it asks to be left alone.
    Unreachable(Fault, Option<Duration>),
}

impl RobotsFile {
    /// The rules and until when they hold: those in hand, or what `ask` brings, which is asked again up to `retries`
    /// times, with `pause` between.
    pub(crate) async fn rules(
        &self,
        drain: &Drain,
        retries: u32,
        pause: impl Fn(u32) -> Duration,
        mut ask: impl AsyncFnMut() -> Result<Rules, Failed>,
    ) -> Result<(Arc<Rules>, Instant), Unasked> {
        let Some(mut known) = drain.run_until_cancelled(self.0.lock()).await else {
            return Err(Unasked::Stopped);
        };
        let now = Instant::now();
        if let Some((rules, until)) = known.rules.as_ref().filter(|(_, until)| now < *until) {
            return Ok((Arc::clone(rules), *until));
        }
        if let Some((fault, _)) = known.unreachable.as_ref().filter(|(_, until)| now < *until) {
            return Err(Unasked::Unreachable(fault.clone()));
        }
        for attempt in 0.. {
            let (why, wait) = match ask().await {
                Ok(rules) => {
                    let rules = Arc::new(rules);
                    let until = Instant::now() + HOLDS;
                    *known = Known {
                        rules: Some((Arc::clone(&rules), until)),
                        unreachable: None,
                    };
                    return Ok((rules, until));
                }
                Err(Failed::NoConnection(fault)) => return Err(Unasked::NoConnection(fault)),
                Err(Failed::Unreachable(why, wait)) => (why, wait),
            };
            if attempt >= retries {
                return known.give_up(why);
            }
            let wait = wait.unwrap_or_default() + pause(attempt);
            if wait > Duration::from_secs(5) {
                tracing::warn!(
                    "robots.txt cannot be had ({why}): nothing is fetched there, and it is asked for again in {wait:.0?}"
                );
            }
            if drain
                .run_until_cancelled(tokio::time::sleep(wait))
                .await
                .is_none()
            {
                return Err(Unasked::Stopped);
            }
        }
        Err(Unasked::Stopped)
    }
}

impl Known {
    /// Rules of before hold on where they cannot be renewed (RFC 9309 section 2.3.1.4); without any, nothing may be
    /// fetched.
    fn give_up(&mut self, why: Fault) -> Result<(Arc<Rules>, Instant), Unasked> {
        let until = Instant::now() + PAUSE;
        if let Some((rules, holds)) = &mut self.rules {
            *holds = until;
            return Ok((Arc::clone(rules), until));
        }
        let fault = Fault::new(
            ErrorKind::RobotsUnreachable,
            format!("robots.txt cannot be had ({why}), which forbids everything"),
        );
        self.unreachable = Some((fault.clone(), until));
        Err(Unasked::Unreachable(fault))
    }
}

/// As much of a robots.txt is read (RFC 9309 section 2.5).
pub(crate) const READ: u64 = 500 << 10;

/// What a destination allows.
pub(crate) enum Rules {
    /// Everything.
    All,
    /// What these rules do.
    Some(RobotsRules),
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::All => "All",
            Self::Some(_) => "Some",
        })
    }
}

impl Rules {
    /// The rules for `agent` in an answer to `/robots.txt`; none where the site cannot say at present (RFC 9309 section
    /// 2.3.1.4), and for 429, which asks to be left alone.
    pub(crate) fn of(status: StatusCode, body: &[u8], agent: &str) -> Option<Self> {
        // Beyond 599 there are none, so that nothing is known of what the site wants.
        if status.as_u16() >= 500 || status == StatusCode::TOO_MANY_REQUESTS {
            return None;
        }
        Some(Self::of_answer(status, body, agent))
    }

    fn of_answer(status: StatusCode, body: &[u8], agent: &str) -> Self {
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
            Self::Some(rules) if rules.is_empty() || rules.allows(target(url).as_bytes()) => Ok(()),
            Self::Some(_) => Err(Fault::new(ErrorKind::Robots, "robots.txt disallows it")),
        }
    }

    /// The pause between requests that the site asks for.
    pub(crate) fn delay(&self) -> Option<Duration> {
        match self {
            Self::Some(rules) => rules.delay(),
            Self::All => None,
        }
    }
}

/// What is read of `body`: of a longer one the lines that are there whole, since a path cut short allows more.
fn whole_lines(body: &[u8]) -> &[u8] {
    match body.get(..READ as usize) {
        Some(read) => &read[..memchr::memrchr2(b'\n', b'\r', read).unwrap_or(0)],
        None => body,
    }
}

/// The path and query of a URL, by which rules are matched.
fn target(url: &str) -> &str {
    // Each request comes by here: memchr takes a fraction of what searching for text does.
    let behind = memchr::memchr(b':', url.as_bytes())
        .and_then(|colon| url[colon..].strip_prefix("://"))
        .unwrap_or(url);
    let target = memchr::memchr3(b'/', b'?', b'#', behind.as_bytes()).map_or("", |at| &behind[at..]);
    let target = memchr::memchr(b'#', target.as_bytes()).map_or(target, |at| &target[..at]);
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
        let rules = Rules::of(StatusCode::OK, text.as_bytes(), "v6kit").unwrap();
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
        let judged = |status, body: &[u8]| Rules::of(status, body, "v6kit").unwrap().judge("https://h/x");
        assert_eq!(judged(StatusCode::OK, b"<html>Not here</html>"), Ok(()));
        let mut long = b"User-agent: *\nDisallow: /x\n".repeat(READ as usize / 28);
        long.resize(READ as usize - 5, b'#');
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
        for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS] {
            assert!(Rules::of(status, b"", "v6kit").is_none(), "{status}");
        }
    }

    #[test]
    fn a_crawl_delay_is_read() {
        let rules = Rules::of(StatusCode::OK, b"User-agent: *\nCrawl-delay: 2.5\n", "v6kit").unwrap();
        assert_eq!(rules.delay(), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn the_product_is_the_first_word_of_the_agent() {
        assert_eq!(product(v6kit_model::input::USER_AGENT), "v6kit");
        assert_eq!(product("Mozilla/5.0 (X11)"), "Mozilla");
        assert_eq!(product("my_crawler"), "my_crawler");
    }

    /// Asks as often as there are `answers`, in virtual time.
    async fn asked(
        file: &RobotsFile,
        retries: u32,
        answers: &mut Vec<Result<Rules, Failed>>,
    ) -> Result<Arc<Rules>, Unasked> {
        let pause = |_| Duration::from_secs(1);
        let rules = file
            .rules(&Drain::default(), retries, pause, async || answers.remove(0))
            .await;
        rules.map(|(rules, _)| rules)
    }

    fn silent(wait: Option<u64>) -> Result<Rules, Failed> {
        let fault = Fault::new(ErrorKind::Reset, "reset");
        Err(Failed::Unreachable(fault, wait.map(Duration::from_secs)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_that_cannot_say_is_asked_again_after_the_time_that_it_wants() {
        let (file, start) = (RobotsFile::default(), tokio::time::Instant::now());
        let mut answers = vec![silent(Some(7)), silent(None), Ok(Rules::All)];
        assert!(asked(&file, 3, &mut answers).await.is_ok());
        assert_eq!(start.elapsed(), Duration::from_secs(9));
        assert!(
            asked(&file, 3, &mut Vec::new()).await.is_ok(),
            "what is in hand holds"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn rules_that_cannot_be_had_forbid_everything_and_are_not_asked_for_by_each_item() {
        let file = RobotsFile::default();
        let mut answers = vec![silent(None), silent(None)];
        let fault = |asked| match asked {
            Err(Unasked::Unreachable(fault)) => fault,
            asked => panic!("{asked:?}"),
        };
        assert_eq!(
            fault(asked(&file, 1, &mut answers).await).kind,
            ErrorKind::RobotsUnreachable
        );
        assert!(answers.is_empty());
        assert_eq!(
            fault(asked(&file, 1, &mut answers).await).kind,
            ErrorKind::RobotsUnreachable
        );
    }

    #[tokio::test]
    async fn a_site_that_cannot_be_connected_to_fails_as_for_any_other_request() {
        let file = RobotsFile::default();
        let refused = || {
            Err(Failed::NoConnection(Fault::new(
                ErrorKind::ConnectRefused,
                "refused",
            )))
        };
        for _ in 0..2 {
            let asked = asked(&file, 3, &mut vec![refused()]).await;
            assert!(matches!(asked, Err(Unasked::NoConnection(_))), "{asked:?}");
        }
    }
}
