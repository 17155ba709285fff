//! A crawl as a whole.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use v6kit_model::url::Scheme;
use v6kit_model::{Counts, ErrorKind, Outcome};
use v6kit_net::{BoundedSourcePool, PoolError, RateLimit, SourcePool, Wear, cpu_time};
use v6kit_store::{
    Disk, DiskLow, Forecast, Invocation, JobDirectory, Ledger, SegmentDirectory, SqliteLedger, Standing,
    StoreError,
};

use crate::connect::connection::client_tls;
use crate::connect::memory::Memory;
use crate::engine::aside::aside;
use crate::engine::concurrency::{ConcurrencyController, adapt};
use crate::engine::error::CrawlError;
use crate::engine::exposition::Exposition;
use crate::engine::job::{ConcurrencyMode, Job, Settings, other_files};
use crate::engine::limits::Limits;
use crate::engine::run;
use crate::engine::shard::{self, ShardConfig, Stop, UsedAddresses};
use crate::site::connects::connect_limit;
use crate::site::outage::Outage;
use crate::site::{DestinationSettings, Destinations};
use crate::stats::events::{self, EventSink, Events};
use crate::stats::prefix_stats::{PrefixStats, PrefixSummary, SeenNetworks};
use crate::stats::progress::{Progress, Sample};
use crate::stats::summary::{Latencies, Run, Summary};

/// A running crawl.
#[derive(Debug)]
pub struct Crawl {
    shards: Vec<JoinHandle<Result<Latencies, CrawlError>>>,
    progress: Vec<Arc<Progress>>,
    ledger: Arc<SqliteLedger>,
    segments: Arc<SegmentDirectory>,
    seen: Option<Arc<SeenNetworks>>,
    used: UsedAddresses,
    destinations: Arc<Destinations>,
    limits: Limits,
    /// What finds the limits, where they are not given.
    adapting: Option<tokio::task::JoinHandle<()>>,
    stop: Stop,
    outage: Arc<Outage>,
    running: watch::Receiver<()>,
    began: Instant,
    cpu_before: Duration,
    before: Standing,
    retried: Counts,
    events: Events,
}

/// What all shards are given.
struct Shared {
    job: Arc<Job>,
    settings: Arc<Settings>,
    bounded: Option<Arc<BoundedSourcePool>>,
    disk: Disk,
    /// Closed when the last shard has ended.
    ended: watch::Sender<()>,
    /// Connections that all shards may have open.
    descriptors: usize,
    /// How often they may begin one.
    connects: Arc<RateLimit>,
    memory: Memory,
}

impl Crawl {
    /// Checks everything that can be checked before the first request, and starts the shards. `tell` is told
    /// what is waited for, once that takes a while.
    ///
    /// # Errors
    /// [`CrawlError`].
    pub async fn start(job: Job, settings: Settings, tell: impl FnOnce(String)) -> Result<Self, CrawlError> {
        let (sink, events) = events::channel();
        let destinations = Arc::new(Destinations::new(destination_settings(&settings), sink.clone()));
        let connects = connect_limit(settings.connect_rate);
        let outage = Arc::new(outage(&settings, Arc::clone(&connects), sink));
        resolve_first(&job, &settings, &destinations, tell).await?;
        let pools = source_pools(&settings)?;
        // Reading a large ledger takes time.
        let (job, settings) = (Arc::new(job), Arc::new(settings));
        let (of_job, of_settings) = (Arc::clone(&job), Arc::clone(&settings));
        let opening = aside(move || open(&of_job, &of_settings));
        let Opened {
            directory: JobDirectory { ledger, segments },
            disk,
            before,
            retried,
        } = opening.await.map_err(CrawlError::Thread)??;
        if was_answered(&before.done) {
            outage.prove();
        }
        let (ended, running) = watch::channel(());
        let seen = settings
            .sources
            .as_ref()
            .map(|sources| Arc::new(SeenNetworks::new(sources.prefix)));
        let bounded = bounded_pool(&settings);
        let controller = (settings.concurrency_mode == ConcurrencyMode::Auto)
            .then(|| ConcurrencyController::new(settings.threads, settings.concurrency));
        let slots = controller
            .as_ref()
            .map_or(settings.concurrency, ConcurrencyController::limit);
        let limits = Limits::new(slots, settings.threads);
        let mut crawl = Self {
            shards: Vec::new(),
            progress: Vec::new(),
            seen,
            used: UsedAddresses::default(),
            destinations,
            limits: limits.clone(),
            adapting: None,
            ledger,
            segments,
            stop: Stop::new(),
            outage,
            running,
            began: Instant::now(),
            cpu_before: cpu_time(),
            before,
            retried,
            events,
        };
        let descriptors = descriptors(&settings);
        let shared = Shared {
            memory: Memory::new(settings.memory),
            job,
            settings,
            bounded,
            disk,
            ended,
            descriptors,
            connects,
        };
        for (index, pool) in pools.into_iter().enumerate() {
            crawl.start_shard(&shared, index, pool)?;
        }
        if let Some(controller) = controller {
            let shards = crawl.progress.clone();
            crawl.adapting = Some(tokio::spawn(adapt(controller, limits, shards)));
        }
        Ok(crawl)
    }

    fn start_shard(
        &mut self,
        shared: &Shared,
        index: usize,
        pool: Option<SourcePool>,
    ) -> Result<(), CrawlError> {
        let sources = shared.settings.sources.as_ref();
        let progress = Arc::new(Progress {
            networks: sources.map(|sources| PrefixStats::new(sources.prefix)),
            ..Progress::default()
        });
        let config = ShardConfig {
            job: Arc::clone(&shared.job),
            settings: Arc::clone(&shared.settings),
            ledger: self.ledger.clone(),
            segments: self.segments.clone(),
            destinations: Arc::clone(&self.destinations),
            pool,
            bounded: shared.bounded.clone(),
            seen: self.seen.clone(),
            used: Arc::clone(&self.used),
            progress: Arc::clone(&progress),
            stop: self.stop.clone(),
            outage: Arc::clone(&self.outage),
            disk: shared.disk.clone(),
            index,
            limits: self.limits.clone(),
            open: self.before.total.saturating_sub(self.before.done.sum()),
            seed: shared.settings.seed.wrapping_add(index as u64),
            descriptors: shared.descriptors,
            connects: Arc::clone(&shared.connects),
            memory: shared.memory.clone(),
            // One shard takes care of them.
            small_files: if index == 0 {
                v6kit_store::small_files(&self.ledger, shared.job.storage.format)?
            } else {
                Vec::new()
            },
        };
        let ended = shared.ended.clone();
        let thread = std::thread::Builder::new()
            .name(format!("shard-{index}"))
            .spawn(move || {
                let _ended = ended;
                let stop = config.stop.clone();
                stopping_all(&stop, || run::run(config))
            })
            .map_err(CrawlError::Thread)?;
        self.shards.push(thread);
        self.progress.push(progress);
        Ok(())
    }

    /// The counters for whoever scrapes them.
    #[must_use]
    pub fn exposition(&self) -> Exposition {
        Exposition {
            shards: self.progress.clone(),
            seen: self.seen.clone(),
            destinations: Arc::clone(&self.destinations),
            limits: self.limits.clone(),
            total: self.before.total,
            resumed: self.before.done.sum(),
        }
    }

    /// How many requests may be in flight at present.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.limits.all()
    }

    /// What has been done so far.
    #[must_use]
    pub fn sample(&self) -> Sample {
        Sample::of(self.progress.iter().map(AsRef::as_ref))
    }

    /// What has been done so far, shard by shard.
    #[must_use]
    pub fn sample_by_shard(&self) -> Vec<Sample> {
        self.progress
            .iter()
            .map(|shard| Sample::of([shard.as_ref()]))
            .collect()
    }

    /// What was done before this run.
    #[must_use]
    pub fn before(&self) -> Standing {
        self.before
    }

    /// What the rest will take, once something is committed. The pace is for the caller to judge by.
    #[must_use]
    pub fn forecast(&self) -> Option<Forecast> {
        let standing = self.ledger.standing().ok()?;
        Forecast::new(&standing, None, &*self.segments)
    }

    /// Items that were opened again, by the outcome of their newest record.
    #[must_use]
    pub fn retried(&self) -> Counts {
        self.retried
    }

    /// Sends nothing new, and ends when what is under way has come in or the grace is over.
    pub fn drain(&self) {
        self.stop.drain.cancel();
    }

    /// Why the crawl drains by itself, when it is for want of room.
    #[must_use]
    pub fn disk_low(&self) -> Option<DiskLow> {
        self.stop.disk_low.get().cloned()
    }

    /// The next thing that somebody should be told while the crawl is running: one line.
    pub async fn notice(&self) -> String {
        self.events.next().await
    }

    /// Waits until all shards have ended.
    pub async fn ended(&self) {
        let mut running = self.running.clone();
        // The sender sends nothing: it is gone when the last shard is.
        while running.changed().await.is_ok() {}
    }

    /// Collects the shards and what they came to. Blocks until they have ended.
    ///
    /// # Errors
    /// The first [`CrawlError`] of a shard. What was committed stays so.
    pub fn finish(mut self) -> Result<Summary, CrawlError> {
        let mut latencies = Latencies::new();
        let mut result = Ok(());
        for shard in self.shards.drain(..) {
            match shard.join() {
                Ok(Ok(shard)) => latencies.add(&shard),
                Ok(Err(error)) => result = result.and(Err(error)),
                Err(panic) => self.stop.panicked(panic_text(&*panic)),
            }
        }
        result?;
        let standing = self.ledger.standing()?;
        let run = Run {
            wall: self.began.elapsed(),
            cpu: cpu_time().saturating_sub(self.cpu_before),
            standing,
            resumed: self.before.done.sum(),
            refused: self.stop.refused.get().cloned(),
            outage: self.outage.ended(),
            changed_list: self.stop.changed_list.get().cloned(),
            panicked: self.stop.panicked.get().cloned(),
            concurrency: self.limits.all(),
            concurrency_found: self.adapting.is_some(),
        };
        let sample = self.sample();
        let networks: Vec<&PrefixStats> = self
            .progress
            .iter()
            .filter_map(|shard| shard.networks.as_ref())
            .collect();
        let networks = (!networks.is_empty()).then(|| PrefixSummary::new(&networks, sample.addresses));
        let kinds = ErrorKind::ALL.iter().filter_map(|kind| {
            let count: u64 = self
                .progress
                .iter()
                .map(|shard| shard.kinds[*kind as usize].get())
                .sum();
            (count > 0).then_some((kind.as_str(), count))
        });
        Ok(Summary {
            kinds: kinds.collect(),
            networks,
            ..Summary::new(&sample, &latencies, &run)
        })
    }
}

/// A crawl that is dropped half started must not go on in the background.
impl Drop for Crawl {
    fn drop(&mut self) {
        self.stop.drain.cancel();
        if let Some(adapting) = &self.adapting {
            adapting.abort();
        }
    }
}

/// How long a name may take to resolve before that is told.
const UNTOLD: Duration = Duration::from_secs(1);

/// A name that does not resolve, or certificates that cannot be read, are told once and at the beginning.
async fn resolve_first(
    job: &Job,
    settings: &Settings,
    destinations: &Destinations,
    tell: impl FnOnce(String),
) -> Result<(), CrawlError> {
    let Some(origin) = job.items.origin() else {
        return Ok(());
    };
    if origin.scheme == Scheme::Https {
        client_tls(&settings.trust, settings.identity.as_ref(), settings.http)?;
    }
    let deadline = Instant::now() + settings.deadlines.total;
    let destination = destinations.get(&origin);
    let mut resolving = std::pin::pin!(destination.resolve(deadline));
    let resolved = match tokio::time::timeout(UNTOLD, &mut resolving).await {
        Ok(resolved) => resolved,
        Err(_elapsed) => {
            tell(format!(
                "waiting for the addresses of {}",
                destination.looked_up()
            ));
            resolving.await
        }
    };
    resolved.map_err(CrawlError::Resolve)
}

fn destination_settings(settings: &Settings) -> DestinationSettings {
    DestinationSettings {
        rate: settings.rate,
        rate_total: settings.rate_total,
        http: settings.http,
        resolve: settings.resolve.clone(),
        proxy: settings.proxy.clone(),
    }
}

fn outage(settings: &Settings, connects: Arc<RateLimit>, events: EventSink) -> Outage {
    let through_proxy = settings.proxy.is_some();
    let delivery = settings.delivery.clone();
    Outage::new(settings.max_outage, through_proxy, delivery, connects, events)
}

/// Whether an item of the job was ever answered.
fn was_answered(done: &Counts) -> bool {
    [Outcome::Ok, Outcome::Absent, Outcome::Blocked]
        .iter()
        .any(|outcome| done.of(*outcome) > 0)
}

fn source_pools(settings: &Settings) -> Result<Vec<Option<SourcePool>>, PoolError> {
    let Some(sources) = &settings.sources else {
        return Ok(vec![None; settings.threads]);
    };
    let pool = SourcePool::new(sources.prefix, sources.seed, sources.excluded.iter().copied())?;
    Ok(pool.split(settings.threads).into_iter().map(Some).collect())
}

/// The bound on addresses, where there is one.
fn bounded_pool(settings: &Settings) -> Option<Arc<BoundedSourcePool>> {
    let sources = settings.sources.as_ref()?;
    let wear = Wear {
        requests: sources.requests_per_address,
        age: sources.address_age,
    };
    Some(Arc::new(BoundedSourcePool::new(sources.addresses?, wear)))
}

/// What a job directory is opened for.
struct Opened {
    directory: JobDirectory,
    disk: Disk,
    before: Standing,
    retried: Counts,
}

/// Opens the job directory, and those items again that are to be, once nothing else can keep the crawl from starting.
fn open(job: &Job, settings: &Settings) -> Result<Opened, CrawlError> {
    let (output, description, extent) = (&settings.output, job.description(), job.extent());
    let (words, options) = (&settings.invocation, &settings.options);
    let made = JobDirectory::begin(output, &description, extent, Invocation { words, options })?;
    let directory = match (made, job.items.list().filter(|_| settings.append)) {
        (Some(made), _) => made,
        (None, None) => JobDirectory::open(output, &description, extent)?,
        (None, Some(list)) => JobDirectory::append(output, &description, extent, list)?,
    };
    let JobDirectory { ledger, segments } = &directory;
    ledger.set_invocation(words, options)?;
    if let Some(list) = job.items.list() {
        list.keep(&settings.output)
            .map_err(|source| StoreError::segment(&**segments, source))?;
    }
    let disk = Disk::new(
        segments.clone(),
        settings.keep_free,
        shard::memory_budget(job, settings).reserve_bytes(),
    );
    let low = disk
        .low()
        .map_err(|source| StoreError::segment(&**segments, source))?;
    if let Some(low) = low {
        return Err(CrawlError::DiskLow(low));
    }
    let retried = if settings.retry.is_empty() {
        Counts::default()
    } else {
        v6kit_store::reopen_items(&directory, &settings.retry)?
    };
    let before = directory.ledger.standing()?;
    Ok(Opened {
        directory,
        disk,
        before,
        retried,
    })
}

/// What `shard` comes to. One that panics keeps the others from sending anything new: what it held would be missing.
fn stopping_all<T>(stop: &Stop, shard: impl FnOnce() -> T) -> T {
    let shard = std::panic::catch_unwind(std::panic::AssertUnwindSafe(shard));
    shard.unwrap_or_else(|panic| {
        stop.panicked(panic_text(&*panic));
        std::panic::resume_unwind(panic)
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
/// Connections that may be open, by the limit on open files: one for each request under way at least.
fn descriptors(settings: &Settings) -> usize {
    let limit = v6kit_net::file_limit().map_or(u64::MAX, |limit| limit.soft);
    usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_sub(other_files(settings.threads))
        .max(settings.concurrency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_panics_stops_the_others() {
        let stop = Stop::new();
        let other = stop.clone();
        let thread = std::thread::spawn(move || stopping_all(&stop, || panic!("by itself")));
        assert!(thread.join().is_err());
        assert!(other.drain.is_cancelled());
        assert_eq!(other.panicked.get().map(String::as_str), Some("by itself"));
        assert_eq!(stopping_all(&Stop::new(), || 7), 7);
    }
}
