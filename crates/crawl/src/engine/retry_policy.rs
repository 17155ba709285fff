//! What follows from an attempt: a record, another attempt, a slower pace, or the end.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use v6kit_model::{Fault, Item, Outcome, retry_after};

use crate::engine::shard::Shard;
use crate::site::breaker::ProbeVerdict;
use crate::site::throttle::OnLimit;
use crate::site::{Permit, Site};

/// The pause before the second attempt is drawn from 0 to this, and from twice as much for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often an item may be refused for being asked too often. Being told to wait is no failure of the
/// item, but a site that never relents must not keep it for ever.
const REFUSALS: u32 = 20;

/// What becomes of an item after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// This was its last.
    Record,
    /// Another one follows.
    Retry(Item, Duration),
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
pub(crate) fn decide(
    shard: &Shard,
    site: &Site,
    item: Item,
    permit: Permit,
    fault: Option<&Fault>,
    headers: Option<&HeaderMap>,
) -> (Next, Address) {
    let limited = fault.filter(|fault| fault.kind.is_limit());
    watch(shard, site, permit, fault, limited);
    let Some(fault) = fault else {
        site.answered();
        return (Next::Record, Address::Keep);
    };
    let wait = headers.and_then(|headers| retry_after(headers, SystemTime::now()));
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
            (Next::Record, Address::Keep)
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
fn watch(shard: &Shard, site: &Site, permit: Permit, fault: Option<&Fault>, limited: Option<&Fault>) {
    let Some(budget) = &shard.settings.error_budget else {
        return;
    };
    if limited.is_some() && shard.settings.on_limit == OnLimit::Slow && permit != Permit::Probe {
        return;
    }
    if permit != Permit::Probe {
        return site.attempted(fault, budget);
    }
    if site.probed(fault) == ProbeVerdict::Hopeless {
        let share = budget.share * 100.0;
        let last = fault.map(|fault| format!(": {fault}")).unwrap_or_default();
        shard.refuse(format!(
            "more than {share}% of the answers were failures, and so were three probes{last}"
        ));
    }
}

/// Keeps the account of an answer that led elsewhere.
pub(crate) fn pass(shard: &Shard, site: &Site, permit: Permit) {
    watch(shard, site, permit, None, None);
    site.answered();
}

/// An item that was refused for being asked too often.
fn refused(shard: &Shard, item: Item, wait: Option<Duration>) -> Next {
    if item.refusals >= REFUSALS {
        return Next::Record;
    }
    let pause = wait.unwrap_or_default() + shard.jitter(pause_limit(item.refusals));
    let item = Item {
        attempts: item.attempts + 1,
        refusals: item.refusals + 1,
        ..item
    };
    Next::Retry(item, pause)
}

/// An item that failed by itself.
fn failed(shard: &Shard, item: Item, fault: &Fault, wait: Option<Duration>) -> Next {
    let failures = item.attempts - item.refusals;
    if fault.kind.outcome() != Outcome::Transient || failures >= shard.settings.retries {
        return Next::Record;
    }
    let pause = wait.unwrap_or_default() + shard.jitter(pause_limit(failures));
    let item = Item {
        attempts: item.attempts + 1,
        ..item
    };
    Next::Retry(item, pause)
}

fn pause_limit(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_PAUSE)
}
