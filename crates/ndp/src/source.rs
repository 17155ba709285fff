//! The source address of advertisements: the target itself, or the device's link-local address.
//!
//! RFC 4861 section 4.4 allows any address of the sending interface. Some hypervisors drop frames whose
//! source is not one that they assigned, some routers want the target. Which one gets through shows in
//! the solicitations: who has heard an answer does not ask again.

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use serde::Serialize;
use tokio::time::Instant;

/// Which source is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceWish {
    /// Always the target.
    Target,
    /// Always the link-local address.
    LinkLocal,
    /// The target, unless answers from it are not heard and those from the link-local address are.
    Auto,
}

/// Which source an advertisement has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The address that is advertised.
    Target,
    /// The link-local address of the device.
    LinkLocal,
}

impl Source {
    fn other(self) -> Self {
        match self {
            Self::Target => Self::LinkLocal,
            Self::LinkLocal => Self::Target,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Target => "the target",
            Self::LinkLocal => "the link-local address",
        })
    }
}

/// What the last choice showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    Nothing,
    /// The other source is used from now on.
    Switched,
    /// Neither source is heard. Reported once, until one is.
    Unheard,
}

/// Asks again within this time: has not heard. RFC 4861 section 10: three solicitations, one second
/// apart.
const PATIENCE: Duration = Duration::from_secs(3);
/// So many in a row have to be unheard before that is taken for the rule.
const UNHEARD: u32 = 3;
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// Chooses, watching how its choices are taken.
#[derive(Debug)]
pub(crate) struct SourceChoice {
    wish: SourceWish,
    current: Source,
    /// The last answer to each (target, asker).
    answered: LruCache<(Ipv6Addr, Ipv6Addr), (Source, Instant)>,
    /// The same in the order of time.
    order: VecDeque<(Ipv6Addr, Ipv6Addr, Instant)>,
    unheard: Tally,
    reported: bool,
}

/// Unheard answers in a row.
#[derive(Debug, Default)]
struct Tally {
    target: u32,
    link_local: u32,
}

impl Tally {
    fn of(&mut self, source: Source) -> &mut u32 {
        match source {
            Source::Target => &mut self.target,
            Source::LinkLocal => &mut self.link_local,
        }
    }
}

impl SourceChoice {
    pub(crate) fn new(wish: SourceWish) -> Self {
        Self {
            wish,
            current: match wish {
                SourceWish::Target | SourceWish::Auto => Source::Target,
                SourceWish::LinkLocal => Source::LinkLocal,
            },
            answered: LruCache::new(REMEMBERED),
            order: VecDeque::new(),
            unheard: Tally::default(),
            reported: false,
        }
    }

    /// What is used where nothing speaks against it.
    pub(crate) fn current(&self) -> Source {
        self.current
    }

    /// The source of the answer to `asker`, who has sent a solicitation to the target's group.
    pub(crate) fn choose(&mut self, target: Ipv6Addr, asker: Ipv6Addr, now: Instant) -> (Source, Finding) {
        if self.wish != SourceWish::Auto {
            return (self.current, Finding::Nothing);
        }
        self.take_silence_for_success(now);
        let key = (target, asker);
        let mut finding = Finding::Nothing;
        let source = match self.answered.get(&key) {
            Some((source, answered)) if now.duration_since(*answered) < PATIENCE => {
                let source = *source;
                finding = self.not_heard(source);
                source.other()
            }
            _ => self.current,
        };
        self.answered.put(key, (source, now));
        self.order.push_back((target, asker, now));
        if self.order.len() > REMEMBERED.get() {
            self.order.pop_front();
        }
        (source, finding)
    }

    fn take_silence_for_success(&mut self, now: Instant) {
        while let Some((target, asker, at)) = self.order.front().copied() {
            if now.duration_since(at) < PATIENCE {
                break;
            }
            self.order.pop_front();
            match self.answered.peek(&(target, asker)) {
                Some((source, last)) if *last == at => {
                    *self.unheard.of(*source) = 0;
                    self.reported = false;
                }
                // Asked again since.
                _ => {}
            }
        }
    }

    fn not_heard(&mut self, source: Source) -> Finding {
        *self.unheard.of(source) += 1;
        let (unheard, other) = (*self.unheard.of(source), *self.unheard.of(source.other()));
        if unheard < UNHEARD || source != self.current {
            return Finding::Nothing;
        }
        // Where neither is heard the two are tried in turn, and their counts stay side by side.
        if other + 1 < unheard {
            self.current = source.other();
            return Finding::Switched;
        }
        if other < UNHEARD {
            return Finding::Nothing;
        }
        if self.reported {
            return Finding::Nothing;
        }
        self.reported = true;
        Finding::Unheard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)
    }

    const ASKER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

    #[test]
    fn a_fixed_source_stays_whatever_happens() {
        let start = Instant::now();
        for (wish, source) in [
            (SourceWish::Target, Source::Target),
            (SourceWish::LinkLocal, Source::LinkLocal),
        ] {
            let mut choice = SourceChoice::new(wish);
            for second in 0..20 {
                let now = start + SECOND * second;
                assert_eq!(choice.choose(address(1), ASKER, now), (source, Finding::Nothing));
            }
        }
    }

    #[test]
    fn an_answer_that_is_asked_for_again_is_given_from_the_other_source() {
        let start = Instant::now();
        let mut choice = SourceChoice::new(SourceWish::Auto);
        assert_eq!(choice.choose(address(1), ASKER, start).0, Source::Target);
        assert_eq!(
            choice.choose(address(1), ASKER, start + SECOND).0,
            Source::LinkLocal
        );
        assert_eq!(choice.current(), Source::Target, "one loss is no rule");
    }

    #[test]
    fn a_source_that_is_never_heard_is_given_up_for_one_that_is() {
        let start = Instant::now();
        let mut choice = SourceChoice::new(SourceWish::Auto);
        let mut findings = Vec::new();
        for n in 1..=4 {
            let now = start + SECOND * 10 * u32::from(n);
            choice.choose(address(n), ASKER, now);
            findings.push(choice.choose(address(n), ASKER, now + SECOND).1);
        }
        assert_eq!(findings[2], Finding::Switched);
        assert_eq!(choice.current(), Source::LinkLocal);
        assert_eq!(
            choice.choose(address(9), ASKER, start + SECOND * 90).0,
            Source::LinkLocal
        );
    }

    #[test]
    fn single_losses_among_many_answers_change_nothing() {
        let start = Instant::now();
        let mut choice = SourceChoice::new(SourceWish::Auto);
        for n in 1..=30 {
            let now = start + SECOND * 10 * u32::from(n);
            choice.choose(address(n), ASKER, now);
            if n % 2 == 0 {
                choice.choose(address(n), ASKER, now + SECOND);
            }
        }
        assert_eq!(choice.current(), Source::Target);
    }

    #[test]
    fn when_neither_is_heard_it_is_said_once() {
        let start = Instant::now();
        let mut choice = SourceChoice::new(SourceWish::Auto);
        let unheard = (0..60)
            .map(|second| choice.choose(address(1), ASKER, start + SECOND * second).1)
            .filter(|finding| *finding == Finding::Unheard)
            .count();
        assert_eq!(unheard, 1);
    }
}
