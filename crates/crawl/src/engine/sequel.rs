//! What follows from an attempt: a record, another attempt, a slower pace, or the end.

use std::time::Duration;

use http::HeaderMap;
use v6kit_model::{Fault, Item, Outcome};

use crate::engine::shard::Shard;
use crate::site::brake::{OnLimit, retry_after};
use crate::site::health::Verdict;
use crate::site::{Departure, Site};

/// The pause before the second attempt is drawn from 0 to this, and from twice as much for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often an item may be refused for being asked too often. Being told to wait is no failure of the
/// item, but a site that never relents must not keep it for ever.
const REFUSALS: u32 = 20;

/// What becomes of an item after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequel {
    /// This was its last.
    Record,
    /// Another one follows.
    Again(Item, Duration),
}

/// What becomes of the source address after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    /// It may serve on.
    Keep,
    /// The site is told off by it, and perhaps told to wait for so long.
    Retire(Option<Duration>),
}

/// Draws the consequences of an attempt, for the item, its address and its destination.
pub(crate) fn draw(
    shard: &Shard,
    site: &Site,
    item: Item,
    departure: Departure,
    fault: Option<&Fault>,
    headers: Option<&HeaderMap>,
) -> (Sequel, Address) {
    let limited = fault.filter(|fault| fault.kind.is_limit());
    watch(shard, site, departure, fault, limited);
    let Some(fault) = fault else {
        site.answered();
        return (Sequel::Record, Address::Keep);
    };
    let wait = headers.and_then(retry_after);
    match (shard.settings.on_limit, limited) {
        (OnLimit::Slow, Some(_)) => {
            site.slow_down(wait, shard.observed_rate());
            (refused(shard, item, wait), Address::Keep)
        }
        (OnLimit::Rotate, _) if fault.kind.outcome() == Outcome::Blocked || limited.is_some() => {
            (refused(shard, item, None), Address::Retire(wait))
        }
        (OnLimit::Stop, Some(fault)) => {
            shard.refuse(format!("the site refuses: {}", fault.message));
            (Sequel::Record, Address::Keep)
        }
        _ => {
            if fault.kind.outcome() == Outcome::Absent {
                site.answered();
            }
            (failed(shard, item, fault, wait), Address::Keep)
        }
    }
}

/// Keeps the account of what fails. A site that is being slowed down for is not also counted as failing.
fn watch(shard: &Shard, site: &Site, departure: Departure, fault: Option<&Fault>, limited: Option<&Fault>) {
    let Some(budget) = &shard.settings.error_budget else {
        return;
    };
    if limited.is_some() && shard.settings.on_limit == OnLimit::Slow && departure != Departure::Probe {
        return;
    }
    if departure != Departure::Probe {
        return site.attempted(fault, budget);
    }
    if site.probed(fault) == Verdict::Hopeless {
        let share = budget.share * 100.0;
        let last = fault.map(|fault| format!(": {fault}")).unwrap_or_default();
        shard.refuse(format!(
            "more than {share}% of the answers were failures, and so were three probes{last}"
        ));
    }
}

/// Keeps the account of an answer that led elsewhere.
pub(crate) fn pass(shard: &Shard, site: &Site, departure: Departure) {
    watch(shard, site, departure, None, None);
    site.answered();
}

/// An item that was refused for being asked too often.
fn refused(shard: &Shard, item: Item, wait: Option<Duration>) -> Sequel {
    if item.refusals >= REFUSALS {
        return Sequel::Record;
    }
    let pause = wait.unwrap_or_default() + shard.jitter(pause_limit(item.refusals));
    let item = Item {
        attempts: item.attempts + 1,
        refusals: item.refusals + 1,
        ..item
    };
    Sequel::Again(item, pause)
}

/// An item that failed by itself.
fn failed(shard: &Shard, item: Item, fault: &Fault, wait: Option<Duration>) -> Sequel {
    let failures = item.attempts - item.refusals;
    if fault.kind.outcome() != Outcome::Transient || failures >= shard.settings.retries {
        return Sequel::Record;
    }
    let pause = wait.unwrap_or_default() + shard.jitter(pause_limit(failures));
    let item = Item {
        attempts: item.attempts + 1,
        ..item
    };
    Sequel::Again(item, pause)
}

fn pause_limit(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_PAUSE)
}
