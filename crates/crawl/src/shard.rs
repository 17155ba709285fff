//! A shard: one thread with its own runtime, connections, source addresses and segment.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use v6kit_net::SourcePool;

use crate::connection::{ClientTls, Connection, client_tls};
use crate::disk::{Disk, DiskLow};
use crate::frame::{Fill, OpenFrame, frame_bytes};
use crate::intake::Intake;
use crate::job::{Job, Settings};
use crate::ledger::Ledger;
use crate::list::{Cursor, Particulars};
use crate::order::Itinerary;
use crate::outcome::{ErrorKind, Fault};
use crate::progress::Progress;
use crate::record::Record;
use crate::site::{Destinations, Site, Sites};
use crate::slot::Slot;
use crate::store::{Archive, Backlog, StoreError};
use crate::summary::Latencies;

/// How often old frames are looked for.
const SHORTEST_TICK: Duration = Duration::from_millis(10);
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// Prefixes with at most this many host bits have the addresses that were used told apart.
const COUNTED_HOST_BITS: u32 = 20;

/// What a shard is given.
pub(crate) struct Equipment {
    pub(crate) job: Arc<Job>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) pool: Option<SourcePool>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: Stop,
    pub(crate) disk: Disk,
    /// Slots of this shard.
    pub(crate) slots: usize,
    pub(crate) seed: u64,
}

/// How a crawl is told to end.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    /// Send nothing new; what is under way has until [`Settings::grace`] to come in.
    pub(crate) drain: CancellationToken,
    /// Why it ends, when it is for want of room.
    pub(crate) disk_low: Arc<OnceLock<DiskLow>>,
    /// Why the site leaves no point in going on.
    pub(crate) refused: Arc<OnceLock<String>>,
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self {
            drain: CancellationToken::new(),
            disk_low: Arc::default(),
            refused: Arc::default(),
        }
    }

    /// The site refuses: the first reason counts, and nothing new is sent.
    fn refuse(&self, reason: String) {
        let _ = self.refused.set(reason);
        self.drain.cancel();
    }
}

/// The state that the slots of a shard share.
pub(crate) struct Shard {
    pub(crate) job: Arc<Job>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) itinerary: Itinerary,
    pub(crate) intake: Intake,
    pub(crate) sites: Sites,
    pub(crate) backlog: Backlog,
    pub(crate) progress: Arc<Progress>,
    pub(crate) latencies: RefCell<Latencies>,
    pub(crate) stop: Stop,
    began: std::time::Instant,
    cursor: RefCell<Cursor>,
    frame: OpenFrame,
    pool: RefCell<Option<SourcePool>>,
    used: RefCell<HashSet<Ipv6Addr>>,
    tls: OnceCell<ClientTls>,
    finished: Rc<Cell<u64>>,
    random: RefCell<Xoshiro256PlusPlus>,
}

/// Runs a shard to its end on the present thread.
pub(crate) fn run(equipment: Equipment) -> Result<Latencies, StoreError> {
    let directory = equipment.settings.output.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|source| StoreError::Runtime { source })?;
    runtime.block_on(async {
        let ledger = Arc::clone(&equipment.ledger);
        let slots = equipment.slots;
        let disk = equipment.disk.clone();
        let shard = Rc::new(Shard::new(equipment));
        let archive = Archive::new(
            Arc::clone(&ledger),
            shard.job.storage.format,
            shard.settings.compression,
            directory,
            disk,
        );
        let writing = shard.write_frames(archive);
        let working = shard.work(&ledger, slots);
        let (worked, written) = tokio::join!(working, writing);
        if let Err(error) = written.and(worked) {
            // The others will not fare better, and no request should be sent whose record cannot be kept.
            shard.stop.drain.cancel();
            return Err(error);
        }
        Ok(shard.latencies.borrow().clone())
    })
}

impl Shard {
    fn new(equipment: Equipment) -> Self {
        let Equipment {
            job,
            settings,
            destinations,
            pool,
            progress,
            stop,
            seed,
            slots,
            ..
        } = equipment;
        let limit = frame_bytes(&job.storage, &settings);
        Self {
            itinerary: Itinerary::new(job.order, job.work.count()),
            intake: Intake::new(stop.drain.clone(), slots),
            sites: Sites::new(destinations, job.request.clone()),
            backlog: Backlog::default(),
            progress,
            latencies: RefCell::new(Latencies::new()),
            stop,
            began: std::time::Instant::now(),
            cursor: RefCell::default(),
            frame: OpenFrame::new(&job.storage, limit, random_seed()),
            pool: RefCell::new(pool),
            used: RefCell::default(),
            tls: OnceCell::new(),
            finished: Rc::default(),
            random: RefCell::new(Xoshiro256PlusPlus::seed_from_u64(seed)),
            job,
            settings,
        }
    }

    /// Runs the slots until all of them are done, then hands in the last frame.
    async fn work(self: &Rc<Self>, ledger: &Arc<dyn Ledger>, slots: usize) -> Result<(), StoreError> {
        let mut running = JoinSet::new();
        for _ in 0..slots {
            running.spawn_local(Slot::new(Rc::clone(self)).run());
        }
        let shards = self.settings.threads as u64;
        let supply = self.intake.supply(ledger, shards, slots as u64, &self.finished);
        let result = tokio::select! {
            () = self.finish_slots(&mut running) => Ok(()),
            error = supply_error(supply) => Err(error),
            () = self.backlog.failed() => Ok(()),
            never = self.flush_old_frames() => match never {},
        };
        running.shutdown().await;
        self.flush();
        self.backlog.close();
        result
    }

    async fn finish_slots(&self, running: &mut JoinSet<()>) {
        let all = async {
            while let Some(ended) = running.join_next().await {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
        };
        let grace = async {
            self.stop.drain.cancelled().await;
            tokio::time::sleep(self.settings.grace).await;
        };
        tokio::select! {
            () = all => {}
            () = grace => {}
        }
    }

    /// Hands in frames that are not full but old, for as long as it is polled.
    async fn flush_old_frames(&self) -> std::convert::Infallible {
        let age = self.settings.commit_every;
        let mut tick = tokio::time::interval((age / 4).clamp(SHORTEST_TICK, LONGEST_TICK));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if self.frame.since().is_some_and(|since| since.elapsed() >= age) {
                self.flush();
            }
        }
    }

    fn flush(&self) {
        if self.frame.since().is_some() {
            self.backlog.push(self.frame.take());
        }
    }

    /// Commits frames as they come, on another thread, in their order.
    async fn write_frames(&self, mut archive: Archive) -> Result<(), StoreError> {
        while let Some(mut frame) = self.backlog.next().await {
            let committed;
            (archive, frame, committed) = tokio::task::spawn_blocking(move || {
                let committed = archive.commit(&mut frame);
                (archive, frame, committed)
            })
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            match committed {
                Ok(committed) => {
                    self.progress.bytes_stored.add(committed.bytes);
                    self.progress.committed.add(frame.counts.sum());
                    self.frame.recycle(frame);
                    if let Some(low) = committed.low {
                        self.stop.disk_low.get_or_init(|| low);
                        self.stop.drain.cancel();
                    }
                }
                Err(error) => {
                    self.backlog.fail();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Appends the URL of an item, and tells in what its request differs from the others.
    pub(crate) fn item(&self, position: u64, url: &mut String) -> Result<Particulars, Fault> {
        let Job { work, request, .. } = &*self.job;
        work.item(position, &mut self.cursor.borrow_mut(), request, url)
    }

    /// Records an item.
    pub(crate) fn finish(&self, turn: u64, record: &Record<'_>) {
        let outcome = record.outcome();
        let (fill, bytes) = self.frame.push(turn, record);
        self.progress.bytes_recorded.add(bytes);
        self.progress.finish(outcome);
        self.finished.set(self.finished.get() + 1);
        if fill == Fill::Full {
            self.flush();
        }
    }

    /// Ends the crawl because the site refuses.
    pub(crate) fn refuse(&self, reason: String) {
        self.stop.refuse(reason);
    }

    /// Requests per second that all shards have finished, on average.
    pub(crate) fn observed_rate(&self) -> f64 {
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        self.progress.requests.get() as f64 / seconds * self.settings.threads as f64
    }

    /// Counts a request as under way for as long as the result lives.
    pub(crate) fn take_off(&self) -> Flight<'_> {
        self.progress.requests.add(1);
        self.progress.in_flight.add(1);
        Flight(&self.progress)
    }

    /// Keeps a connection for the next request, unless its address has served its time.
    pub(crate) fn keep(&self, site: &Site, connection: Connection) {
        if connection.is_worth_keeping(self.requests_per_address()) {
            site.put_idle(connection);
        }
    }

    /// How many requests may leave from one address.
    pub(crate) fn requests_per_address(&self) -> u64 {
        let sources = self.settings.sources.as_ref();
        sources.map_or(u64::MAX, |sources| sources.requests_per_address)
    }

    /// The source address of the next connection; `None` leaves it to the kernel.
    pub(crate) fn draw_source(&self) -> Option<Ipv6Addr> {
        self.pool.borrow_mut().as_mut().map(SourcePool::draw)
    }

    /// Counts a connection and its source address.
    pub(crate) fn count_source(&self, from: Ipv6Addr) {
        self.progress.connections.add(1);
        let wide = self
            .settings
            .sources
            .as_ref()
            .is_some_and(|sources| sources.prefix.host_bits() > COUNTED_HOST_BITS);
        // Two draws from that many addresses are hardly ever the same.
        if wide || self.used.borrow_mut().insert(from) {
            self.progress.addresses.add(1);
        }
    }

    /// The TLS settings, read when they are needed first.
    pub(crate) fn tls(&self) -> Result<&ClientTls, Fault> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls);
        }
        let tls = client_tls(&self.settings.trust, self.settings.http)
            .map_err(|error| Fault::from_error(ErrorKind::Certificate, &error))?;
        Ok(self.tls.get_or_init(|| tls))
    }

    /// A random duration below `limit`: full jitter.
    pub(crate) fn jitter(&self, limit: Duration) -> Duration {
        let share = self.random.borrow_mut().next_u64() as f64 / u64::MAX as f64;
        limit.mul_f64(share)
    }
}

/// Differs from run to run and shard to shard, also where the user's seed is the same.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// A request under way.
pub(crate) struct Flight<'a>(&'a Progress);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.subtract(1);
    }
}

/// The error of `supply`; its success is waited out by others.
async fn supply_error(supply: impl Future<Output = Result<(), crate::LedgerError>>) -> StoreError {
    match supply.await {
        Ok(()) => std::future::pending().await,
        Err(error) => error.into(),
    }
}
