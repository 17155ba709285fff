//! The state that the slots of a shard share. A shard is one thread with its own runtime, connections, source
//! addresses and segment; its loops are in [`run`](super::run).

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use v6kit_http1::Buffers;
use v6kit_model::input::{Cursor, Frontier, List, Overrides, has_placeholders};
use v6kit_model::{Fault, HttpVersion, Outcome, Protocol, VisitOrder};
use v6kit_net::{BoundedSourcePool, DeferredClose, RateLimit, SourcePool};
use v6kit_store::{
    CommittedFrame, Disk, DiskLow, Fill, Ledger, Mark, MemoryBudget, OpenFrame, Pushed, Record, SegmentStore,
};

use crate::connect::connection::{Connection, LastAnswer, LazyTls};
use crate::connect::cookies::Jars;
use crate::connect::memory::Memory;
use crate::connect::source_lease::{LeaseLimits, SourcePicker};
use crate::engine::backlog::Backlog;
use crate::engine::clock::Clock;
use crate::engine::examiner::Examiner;
use crate::engine::job::{CookiePolicy, Job, Settings, Sources};
use crate::engine::limits::{Limits, share};
use crate::engine::queue::Queue;
use crate::engine::retry_policy::RetryPolicy;
use crate::site::connects::Connects;
use crate::site::dialling::Dialer;
use crate::site::drain::Drain;
use crate::site::host_queue::{Arrival, HostQueues};
use crate::site::idle::{IdleConnections, Room};
use crate::site::outage::Outage;
use crate::site::{Destinations, Site, Sites};
use crate::stats::prefix_stats::{Reception, SeenNetworks, Visit};
use crate::stats::progress::Progress;
use crate::stats::summary::Latencies;

/// Prefixes with at most this many host bits have the addresses that were used told apart.
const COUNTED_HOST_BITS: u32 = 20;

/// Bytes of records that are counted at a time as memory in use.
const RECORDS_COUNTED: usize = 64 << 10;

/// An open frame of so many bytes goes to the disk early where bodies wait for memory.
const FLUSHED_IN_WANT: usize = 256 << 10;

/// Full frames of a shard that its part of the memory holds, and the bytes of the smallest one that pays.
const FRAMES_WITHIN: usize = 8;
const SMALLEST_FRAME: usize = 256 << 10;

/// What a shard is given.
pub(crate) struct ShardConfig {
    pub(crate) job: Arc<Job>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) segments: Arc<dyn SegmentStore>,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) pool: Option<SourcePool>,
    /// How many addresses may be used at a time, over all shards.
    pub(crate) bounded: Option<Arc<BoundedSourcePool>>,
    /// Networks that any shard has sent from.
    pub(crate) seen: Option<Arc<SeenNetworks>>,
    pub(crate) used: UsedAddresses,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: Stop,
    /// The way out of this host.
    pub(crate) outage: Arc<Outage>,
    pub(crate) disk: Disk,
    /// Its number.
    pub(crate) index: usize,
    /// How many slots each shard may have.
    pub(crate) limits: Limits,
    /// Items that were open when the crawl began.
    pub(crate) open: u64,
    pub(crate) seed: u64,
    /// Connections that all shards may have open.
    pub(crate) descriptors: usize,
    /// How often all shards may begin a connection.
    pub(crate) connects: Arc<RateLimit>,
    /// For bodies and records on their way to the disk.
    pub(crate) memory: Memory,
    /// Segments of earlier runs that are to be merged with others.
    pub(crate) small_files: Vec<CommittedFrame>,
}

/// The addresses that any shard has sent from, where they are few enough to tell apart. Touched for each
/// connection, never for a request.
pub(crate) type UsedAddresses = Arc<Mutex<HashSet<Ipv6Addr>>>;

/// How a crawl is told to end.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    /// Send nothing new; what is under way has until [`Settings::grace`] to come in.
    pub(crate) drain: Drain,
    /// Why it ends, when it is for want of room.
    pub(crate) disk_low: Arc<OnceLock<DiskLow>>,
    /// Why the site leaves no point in going on.
    pub(crate) refused: Arc<OnceLock<String>>,
    /// The list that is another than at the start.
    pub(crate) changed_list: Arc<OnceLock<String>>,
    /// What a shard said that stopped by an error of its own.
    pub(crate) panicked: Arc<OnceLock<String>>,
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self {
            drain: Drain::default(),
            disk_low: Arc::default(),
            refused: Arc::default(),
            changed_list: Arc::default(),
            panicked: Arc::default(),
        }
    }

    /// A shard has stopped by an error of its own, and nothing new is sent.
    pub(super) fn panicked(&self, message: String) {
        let _ = self.panicked.set(message);
        self.drain.cancel();
    }

    /// Where the list was seen to be another than at the start, nothing more of it is fetched. Whether it was.
    pub(super) fn at_changed_list(&self, list: Option<&List>) -> bool {
        let Some(path) = list.and_then(List::changed) else {
            return false;
        };
        let _ = self.changed_list.set(path.display().to_string());
        self.drain.cancel();
        true
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
    pub(crate) visit_order: VisitOrder,
    pub(crate) queue: Queue,
    pub(crate) sites: Sites,
    pub(crate) backlog: Backlog,
    pub(crate) progress: Arc<Progress>,
    pub(crate) latencies: RefCell<Latencies>,
    pub(super) examiner: Examiner,
    /// Where cookies are kept, if they are.
    pub(crate) jars: Option<Jars>,
    pub(crate) stop: Stop,
    /// Items of destinations that have their share of the slots; `None` where all go to the same one.
    pub(crate) host_queues: Option<HostQueues>,
    /// Slots that are running.
    pub(super) running: Cell<usize>,
    /// Items that were open when the crawl began.
    pub(super) open: u64,
    pub(super) index: usize,
    pub(super) limits: Limits,
    seen: Option<Arc<SeenNetworks>>,
    /// Headers or the body differ from item to item.
    has_placeholders: bool,
    /// For items that come in their turn, and for those that had to wait.
    cursors: [RefCell<Cursor>; 2],
    pub(crate) clock: Clock,
    pub(super) frame: OpenFrame,
    /// Bytes of the open frame.
    recorded: Cell<usize>,
    /// For bodies and records on their way to the disk, over all shards.
    pub(crate) memory: Memory,
    used: UsedAddresses,
    /// How long a source address serves.
    pub(crate) lease_limits: LeaseLimits,
    pub(crate) dialer: Dialer,
    pub(super) finished: Cell<u64>,
    deferred: DeferredClose<Connection>,
    random: RefCell<Xoshiro256PlusPlus>,
}

impl Shard {
    pub(super) fn new(config: ShardConfig) -> Self {
        let ShardConfig {
            job,
            settings,
            destinations,
            pool,
            progress,
            stop,
            outage,
            seed,
            index,
            limits,
            open,
            bounded,
            seen,
            used,
            descriptors,
            connects,
            memory,
            ..
        } = config;
        let slots = share(settings.concurrency, settings.threads, index);
        let room = Room::new(share(descriptors, settings.threads, index), slots);
        let limit = frame_bytes(&job, &settings);
        Self {
            visit_order: VisitOrder::new(job.order, job.items.total().so_far()),
            queue: Queue::new(stop.drain.clone(), slots),
            sites: Sites::new(
                destinations,
                job.request.clone(),
                IdleConnections::new(room, Arc::clone(&progress.open_connections)),
            ),
            backlog: Backlog::default(),
            dialer: Dialer {
                sources: SourcePicker::new(
                    pool,
                    bounded,
                    settings.sources.as_ref().and_then(|sources| sources.per_host),
                ),
                tls: LazyTls::new(settings.trust.clone(), settings.identity.clone(), settings.http),
                tls_of_http1: LazyTls::new(
                    settings.trust.clone(),
                    settings.identity.clone(),
                    HttpVersion::One,
                ),
                http: settings.http,
                streams: settings.streams,
                progress: Arc::clone(&progress),
                connects: Connects::new(connects, stop.drain.clone()),
                outage,
                buffers: Buffers::new(),
            },
            progress,
            examiner: Examiner::new(),
            latencies: RefCell::new(Latencies::new()),
            jars: match job.cookies {
                CookiePolicy::Forget => None,
                CookiePolicy::PerAddress => Some(Jars::new()),
            },
            stop,
            host_queues: job.items.origin().is_none().then(HostQueues::default),
            running: Cell::new(0),
            open,
            index,
            limits,
            seen,
            has_placeholders: has_placeholders(&job.request),
            cursors: Default::default(),
            recorded: Cell::new(0),
            memory,
            clock: Clock::new(),
            frame: OpenFrame::new(&job.storage, limit, random_seed()),
            used,
            lease_limits: lease_limits(settings.sources.as_ref()),
            finished: Cell::new(0),
            deferred: DeferredClose::default(),
            random: RefCell::new(Xoshiro256PlusPlus::seed_from_u64(seed)),
            job,
            settings,
        }
    }

    /// How many slots there may be.
    pub(crate) fn slots(&self) -> usize {
        self.limits.of(self.index)
    }

    /// Whether a slot should end because there are more than there may be. It is not counted any more then. The last one
    /// stays as long as there are items.
    pub(crate) fn has_slot_too_many(&self) -> bool {
        let many = self.running.get() > self.slots().max(1);
        if many {
            self.finish_slot();
        }
        many
    }

    /// A slot ends.
    pub(crate) fn finish_slot(&self) {
        self.running.set(self.running.get() - 1);
    }

    /// For how many slots there are items.
    pub(super) fn wanted_slots(&self) -> usize {
        if self.stop.drain.is_cancelled() {
            return 0;
        }
        let Some(held) = self.queue.held() else {
            return usize::MAX;
        };
        let parked = self.host_queues.as_ref().map_or(0, HostQueues::parked);
        let busy = self.running.get() - self.queue.waiting();
        busy + held + parked
    }

    /// Hands in the frame, where it holds anything.
    pub(super) fn flush(&self) {
        if self.frame.since().is_some() {
            let recorded = self.recorded.take();
            self.backlog
                .push(self.frame.take(), recorded - recorded % RECORDS_COUNTED);
        }
    }

    /// Appends the URL of an item, and tells in what its request differs from the others.
    pub(crate) fn item(&self, position: u64, arrival: Arrival, url: &mut String) -> Result<Overrides, Fault> {
        let Job { items, request, .. } = &*self.job;
        // Those that had to wait are read behind the others, and would make a common cursor jump.
        let mut cursor = self.cursors[arrival as usize].borrow_mut();
        items.item(
            position,
            &mut cursor,
            self.has_placeholders.then_some(request),
            url,
        )
    }

    /// Records an item, and says where, as long as the record can be taken back.
    pub(crate) fn finish(&self, ordinal: u64, record: &Record<'_>) -> Mark {
        let outcome = record.outcome();
        let Pushed { fill, bytes, mark } = self.frame.push(ordinal, record);
        self.progress.bytes_recorded.add(bytes);
        self.count_recorded(bytes);
        self.progress.finish(outcome);
        if let Some(fault) = record.fault {
            self.progress.kinds[fault.kind as usize].add(1);
        }
        self.finished.set(self.finished.get() + 1);
        if fill == Fill::Full || (self.memory.is_short() && self.recorded.get() >= FLUSHED_IN_WANT) {
            self.flush();
        }
        mark
    }

    /// Counts bytes of the open frame, some at a time.
    fn count_recorded(&self, bytes: u64) {
        let before = self.recorded.get();
        let now = before.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.recorded.set(now);
        let more = now / RECORDS_COUNTED - before / RECORDS_COUNTED;
        if more > 0 {
            self.memory.add_records(more * RECORDS_COUNTED);
        }
    }

    /// The answer to `last` may have been meant for another request. It is fetched again, unless it cannot be or its
    /// record is on its way to the disk.
    pub(crate) fn doubt(&self, last: LastAnswer) {
        let LastAnswer {
            item,
            record,
            can_repeat,
        } = last;
        let retracted = if can_repeat {
            self.frame.retract(record)
        } else {
            None
        };
        let Some(outcome) = retracted else {
            return self.progress.doubtful.add(1);
        };
        self.progress.take_back(outcome);
        self.finished.set(self.finished.get() - 1);
        self.progress.retries.add(1);
        self.queue.retry(item, Duration::ZERO);
    }

    /// Closes idle connections that are old or were ended by their servers.
    pub(super) fn sweep(&self) {
        self.sites.connections.sweep(Instant::now(), |mut connection| {
            // The next request would have found out that the answers are late by one.
            let last = connection.take_note();
            if let Some(last) = last.filter(|_| connection.is_doubtful()) {
                self.doubt(last);
            }
        });
    }

    /// Ends the crawl because the site refuses.
    pub(crate) fn refuse(&self, reason: String) {
        self.stop.refuse(reason);
    }

    /// Counts a request that is sent `now` as under way for as long as the result lives.
    pub(crate) fn begin_request(&self, site: &Site, now: Instant) -> InFlight<'_> {
        site.sent(now);
        self.progress.requests.add(1);
        self.progress.in_flight.add(1);
        InFlight(&self.progress)
    }

    /// Keeps a connection for the next request, or closes it soon, where its address has served its time.
    pub(crate) fn keep(&self, site: &Site, connection: Connection) {
        if connection.is_worth_keeping(&self.lease_limits) && !site.serves_once() {
            site.put_idle(connection);
        } else if connection.protocol() == Protocol::Http1 {
            self.deferred.close(connection);
        }
    }

    /// Counts a whole answer, or how the attempt failed instead.
    pub(crate) fn count_attempt(&self, answer: Option<(Duration, Visit, Ipv6Addr)>, fault: Option<&Fault>) {
        if let Some(fault) = fault {
            self.progress.failed(fault);
        }
        let Some((took, visit, from)) = answer else {
            return self.progress.silences.add(1);
        };
        self.progress.answered(took);
        if let (Some(networks), Some(seen)) = (&self.progress.networks, &self.seen) {
            let refused =
                fault.is_some_and(|fault| fault.kind.is_limit() || fault.kind.outcome() == Outcome::Blocked);
            let reception = if refused {
                Reception::Refused
            } else {
                Reception::Served
            };
            networks.count(seen, from, visit, reception);
        }
    }

    /// Counts a connection and its source address.
    pub(crate) fn count_source(&self, connection: &Connection) {
        self.progress.connections.add(1);
        let sources = self.settings.sources.as_ref();
        let wide = sources.is_some_and(|sources| sources.prefix.host_bits() > COUNTED_HOST_BITS);
        // Two draws from that many addresses are hardly ever the same.
        let is_new = connection.is_from_new_address();
        let used = || self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if is_new && (wide || used().insert(connection.from())) {
            self.progress.addresses.add(1);
        }
    }

    /// A number from 0 to 1.
    pub(crate) fn jitter(&self) -> f64 {
        self.random.borrow_mut().next_u64() as f64 / u64::MAX as f64
    }

    /// What the user wants to be done about failures.
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            retries: self.settings.retries,
            on_limit: self.settings.on_limit,
        }
    }
}

/// The memory for records that are not on the disk yet.
pub(crate) fn memory_budget(job: &Job, settings: &Settings) -> MemoryBudget {
    MemoryBudget::new(job.storage.format, settings.compression.reach, settings.threads)
}

/// The size in bytes at which a frame counts as full: no frame takes most of the memory.
fn frame_bytes(job: &Job, settings: &Settings) -> usize {
    let part = settings.memory / (FRAMES_WITHIN * settings.threads);
    memory_budget(job, settings)
        .frame_bytes()
        .min(part.max(SMALLEST_FRAME))
}

/// How long a source address serves.
fn lease_limits(sources: Option<&Sources>) -> LeaseLimits {
    sources.map_or(
        LeaseLimits {
            requests: u64::MAX,
            age: None,
        },
        |sources| LeaseLimits {
            requests: sources.requests_per_address,
            age: sources.address_age,
        },
    )
}

/// Differs from run to run and shard to shard, also where the user's seed is the same.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// A request under way.
pub(crate) struct InFlight<'a>(&'a Progress);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.subtract(1);
    }
}

#[cfg(test)]
mod tests;
