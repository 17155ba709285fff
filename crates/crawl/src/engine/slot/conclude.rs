//! The end of an attempt: judged, decided upon, and recorded or put off.

use std::time::{Instant, SystemTime};

use v6kit_model::{Answer, ErrorKind, Fault, retry_after};
use v6kit_store::{Payload, Record};

use super::context::{Attempt, ItemContext};
use super::outgoing::Outgoing;
use crate::connect::connection::{Connection, LastAnswer};
use crate::engine::retry_policy::{Address, Decision, Next, Signal};
use crate::engine::shard::Shard;
use crate::site::breaker::ProbeVerdict;
use crate::site::outage::PROBE_PAUSE;
use crate::site::rate::OnLimit;
use crate::site::{Permit, Site};
use crate::stats::prefix_stats::Visit;

/// Brings an item to its record, or puts it off. `led_nowhere` is why a redirect was followed no further.
pub(super) async fn conclude(
    shard: &Shard,
    context: &ItemContext<'_>,
    outgoing: &Outgoing<'_>,
    fetched: Result<(Answer, Connection), Fault>,
    led_nowhere: Option<Fault>,
) {
    if matches!(&fetched, Err(fault) if fault.kind == ErrorKind::Resources) {
        // The crawl is being stopped while this host lacks what a connection takes: the item is left to the next run.
        return;
    }
    let (mut answer, connection, judged) = match fetched {
        Ok((answer, connection)) => (Some(answer), Some(connection), Ok(())),
        Err(fault) => (None, None, Err(fault)),
    };
    let judged = match &mut answer {
        Some(answer) => examine(shard, &context.attempt, answer).await,
        None => judged,
    };
    let judged = led_nowhere.map_or(judged, Err);
    if answer.is_some() {
        shard.dialer.outage.heard(context.attempt.began);
    }
    if !context.attempt.sent {
        // An attempt all the same: what is tried again was tried before.
        shard.progress.requests.add(1);
        shard.progress.retries.add(u64::from(context.attempt.is_retry));
    }
    let fault = judged.as_ref().err();
    count(shard, &context.attempt, connection.as_ref(), fault);
    watch(shard, &context.site, context.permit, fault);
    let wait = fault
        .and(answer.as_ref())
        .and_then(|answer| retry_after(answer.headers.map(), SystemTime::now()));
    let Decision {
        next,
        address,
        signal,
    } = shard
        .retry_policy()
        .decide(context.item, fault, wait, || shard.jitter());
    carry_out(shard, &context.site, signal, fault);
    let record = match next {
        Next::Retry(item, pause) => {
            tracing::debug!(?pause, why = fault.map(display), "is tried again");
            shard.queue.retry(item, pause);
            None
        }
        Next::Record => {
            let record = Record {
                sent: Some(outgoing.sent(&context.site)),
                answer: answer.as_ref().map(|answer| Payload {
                    headers: &answer.headers,
                    body: &answer.body,
                    portable: answer.portable.get().copied(),
                }),
                ..context.record(fault)
            };
            tracing::debug!(
                outcome = %record.outcome(),
                status = context.attempt.status.map(|status| status.as_u16()),
                why = fault.map(display),
                took = ?context.attempt.took,
                "is recorded"
            );
            Some(shard.finish(context.item.ordinal, &record))
        }
    };
    match (connection, address) {
        (Some(mut connection), Address::Keep) => {
            connection.note(record.map(|record| LastAnswer {
                item: context.item,
                record,
                can_repeat: outgoing.method.is_idempotent(),
            }));
            shard.keep(&context.site, connection);
        }
        (Some(connection), Address::Retire(wait)) => connection.retire(wait),
        (None, _) => {}
    }
}

/// Puts an item off that came to nothing by an outage, which is neither its failure nor its site's. Whether it was.
pub(super) async fn set_aside(
    shard: &Shard,
    context: &ItemContext<'_>,
    began: Instant,
    fault: &Fault,
) -> bool {
    let tried = context.site.tried.get();
    if !shard.dialer.outage.explains(fault, began, tried).await {
        return false;
    }
    if context.permit == Permit::Probe {
        context.site.withdraw_probe();
    }
    tracing::debug!(why = %fault, "is put off: nothing is reached from this host");
    shard.queue.retry(context.item, PROBE_PAUSE);
    true
}

/// Keeps the account of an answer that led elsewhere.
pub(super) fn led_on(shard: &Shard, context: &ItemContext<'_>, connection: &Connection) {
    count(shard, &context.attempt, Some(connection), None);
    watch(shard, &context.site, context.permit, None);
    carry_out(shard, &context.site, Signal::Accepted, None);
}

fn carry_out(shard: &Shard, site: &Site, signal: Signal, fault: Option<&Fault>) {
    match signal {
        Signal::Accepted => site.answered(),
        Signal::Limited(wait) => {
            tracing::debug!(retry_after = ?wait, "the site is asked less often");
            site.slow_down(fault, wait);
        }
        Signal::Stop(reason) => shard.refuse(reason),
        Signal::Nothing => {}
    }
}

/// Keeps the account of what fails. A site that is being slowed down for is not also counted as failing.
fn watch(shard: &Shard, site: &Site, permit: Permit, fault: Option<&Fault>) {
    let Some(budget) = &shard.settings.error_budget else {
        return;
    };
    if permit != Permit::Probe {
        let is_limit = fault.is_some_and(|fault| fault.kind.is_limit());
        if !is_limit || shard.settings.on_limit != OnLimit::Slow {
            site.attempted(fault, budget);
        }
        return;
    }
    if site.probed(fault) == ProbeVerdict::Hopeless {
        // Who was never heard of has not refused.
        if fault.is_some_and(|fault| shard.dialer.outage.begins_with(fault, site.tried.get())) {
            return;
        }
        let share = budget.share * 100.0;
        let last = fault.map(|fault| format!(": {fault}")).unwrap_or_default();
        shard.refuse(format!(
            "more than {share}% of the answers were failures, and so were three probes{last}"
        ));
    }
}

/// Counts an attempt for whoever looks at how they go.
fn count(shard: &Shard, attempt: &Attempt, connection: Option<&Connection>, fault: Option<&Fault>) {
    let answered = connection.map(|connection| {
        let visit = if connection.is_first_visit() {
            Visit::First
        } else {
            Visit::Further
        };
        (attempt.took, visit, connection.from())
    });
    shard.count_attempt(answered, fault);
}

/// Undoes the coding of an answer, and says whether it is the data.
async fn examine(shard: &Shard, attempt: &Attempt, answer: &mut Answer) -> Result<(), Fault> {
    shard.latencies.borrow_mut().record(attempt.took);
    let Shard {
        job,
        memory,
        stop,
        examiner,
        ..
    } = shard;
    examiner.examine(job, memory, &stop.drain, answer).await
}
