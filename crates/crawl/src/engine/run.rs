//! The loops of a shard: it starts slots, supplies them with items, and writes what they record.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use v6kit_store::{Archive, HeldLeases, Ledger, StoreError};

use crate::engine::error::CrawlError;
use crate::engine::job::ConcurrencyMode;
use crate::engine::limits::RunningSlot;
use crate::engine::queue::Supply;
use crate::engine::shard::{Shard, ShardConfig};
use crate::engine::slot::Slot;
use crate::stats::summary::Latencies;

/// How often old frames are looked for.
const SHORTEST_TICK: Duration = Duration::from_millis(10);
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// How often it is looked at idle connections.
const SWEEP: Duration = Duration::from_secs(1);

/// How often it is looked whether there may be more slots.
const GROWTH_TICK: Duration = Duration::from_millis(50);

/// Runs a shard to its end on the present thread.
pub(crate) fn run(config: ShardConfig) -> Result<Latencies, CrawlError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(CrawlError::Runtime)?;
    runtime.block_on(async {
        let ledger = Arc::clone(&config.ledger);
        let segments = Arc::clone(&config.segments);
        let disk = config.disk.clone();
        let small = config.small_files.clone();
        let shard = Rc::new(Shard::new(config));
        let leases = HeldLeases::default();
        let mut archive = Archive::new(
            Arc::clone(&ledger),
            segments,
            leases.clone(),
            disk,
            &shard.job.storage,
            shard.settings.compression,
        );
        archive.adopt(small);
        let writing = write_frames(&shard, archive);
        let working = work(&shard, &ledger, &leases);
        let (worked, written) = tokio::join!(working, writing);
        if let Err(error) = written.and(worked) {
            // The others will not fare better, and no request should be sent whose record cannot be kept.
            shard.stop.drain.cancel();
            return Err(error.into());
        }
        Ok(shard.latencies.borrow().clone())
    })
}

/// Runs the slots until all of them are done, then hands in the last frame.
async fn work(shard: &Rc<Shard>, ledger: &Arc<dyn Ledger>, leases: &HeldLeases) -> Result<(), StoreError> {
    let mut running = JoinSet::new();
    fill_slots(shard, &mut running);
    let supply = shard.queue.supply(Supply {
        ledger,
        leases,
        shards: shard.settings.threads as u64,
        slots: shard.slots() as u64,
        open: shard.open,
        finished: &shard.finished,
    });
    let result = tokio::select! {
        () = finish_slots(shard, &mut running) => Ok(()),
        supplied = supply => supplied.map(|never| match never {}).map_err(StoreError::from),
        () = shard.backlog.failed() => Ok(()),
        never = flush_old_frames(shard) => match never {},
        never = sweep_connections(shard) => match never {},
    };
    running.shutdown().await;
    shard.limits.want(shard.index, 0);
    shard.flush();
    shard.backlog.close();
    result
}

/// Starts slots until there are as many as there may be, or as there are items for.
fn fill_slots(shard: &Rc<Shard>, running: &mut JoinSet<()>) {
    let wanted = shard.wanted_slots();
    shard.limits.want(shard.index, wanted);
    while shard.running.get() < shard.slots().min(wanted) {
        let Some(slot) = shard.limits.start() else {
            return;
        };
        start_slot(shard, running, slot);
    }
}

fn start_slot(shard: &Rc<Shard>, running: &mut JoinSet<()>, slot: RunningSlot) {
    shard.running.set(shard.running.get() + 1);
    running.spawn_local(Slot::new(Rc::clone(shard), slot).run());
}

async fn finish_slots(shard: &Rc<Shard>, running: &mut JoinSet<()>) {
    let grows = shard.settings.concurrency_mode == ConcurrencyMode::Auto || shard.settings.threads > 1;
    let all = async {
        let mut tick = tokio::time::interval(GROWTH_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ended = tokio::select! {
                ended = running.join_next() => ended,
                _ = tick.tick(), if grows => {
                    fill_slots(shard, running);
                    continue;
                }
            };
            match ended {
                None => return,
                Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Some(_) => {}
            }
        }
    };
    let grace = async {
        shard.stop.drain.cancelled().await;
        tokio::time::sleep(shard.settings.grace).await;
    };
    tokio::select! {
        () = all => {}
        () = grace => {}
    }
}

/// Hands in frames that are not full but old, for as long as it is polled.
async fn flush_old_frames(shard: &Shard) -> std::convert::Infallible {
    let age = shard.settings.commit_every;
    let mut tick = tokio::time::interval((age / 4).clamp(SHORTEST_TICK, LONGEST_TICK));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_short = tokio::select! {
            _ = tick.tick() => shard.memory.is_short(),
            () = shard.memory.became_short() => true,
        };
        // Records that wait for others leave no memory to bodies.
        if is_short || shard.frame.since().is_some_and(|since| since.elapsed() >= age) {
            shard.flush();
        }
    }
}

/// Closes idle connections that are old or were ended by their servers, for as long as it is polled.
async fn sweep_connections(shard: &Shard) -> std::convert::Infallible {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        shard.sweep();
    }
}

/// Commits frames as they come, on another thread, in their order.
async fn write_frames(shard: &Shard, mut archive: Archive) -> Result<(), StoreError> {
    while let Some((mut frame, bytes)) = shard.backlog.next().await {
        let committed;
        (archive, frame, committed) = tokio::task::spawn_blocking(move || {
            let committed = archive.commit(&mut frame);
            (archive, frame, committed)
        })
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        match committed {
            Ok(committed) => {
                tracing::debug!(items = frame.counts.sum(), bytes = committed.bytes, "committed");
                shard.memory.remove_records(bytes);
                shard.progress.bytes_stored.add(committed.bytes);
                shard.progress.committed.add(frame.counts.sum());
                shard.frame.recycle(frame);
                if let Some(low) = committed.low {
                    shard.stop.disk_low.get_or_init(|| low);
                    shard.stop.drain.cancel();
                }
            }
            Err(error) => {
                shard.backlog.fail();
                return Err(error);
            }
        }
    }
    tokio::task::spawn_blocking(move || archive.close())
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    Ok(())
}
