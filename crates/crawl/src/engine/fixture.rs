//! A shard for tests: a job directory of its own, and nobody whom it reaches.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use v6kit_model::input::{Items, RequestSpec};
use v6kit_model::{Coding, HttpVersion, Order};
use v6kit_store::{Compression, Disk, JobDirectory, KeepFree, Reach, Storage};

use crate::connect::connection::{Deadlines, Trust};
use crate::connect::memory::Memory;
use crate::engine::job::{ConcurrencyMode, CookiePolicy, Job, Settings};
use crate::engine::limits::Limits;
use crate::engine::shard::{Shard, ShardConfig, Stop, UsedAddresses};
use crate::judge::expect::Expectations;
use crate::site::connects::connect_limit;
use crate::site::outage::Outage;
use crate::site::rate::OnLimit;
use crate::site::rate::Rate;
use crate::site::robots::RobotsPolicy;
use crate::site::{DestinationSettings, Destinations};
use crate::stats::events;
use crate::stats::progress::Progress;

/// A shard, and the directory of its job.
pub(super) struct Fixture {
    pub(super) shard: Rc<Shard>,
    _directory: tempfile::TempDir,
}

/// A job of what `template` names.
pub(super) fn job(template: &str) -> Job {
    Job {
        items: Items::templates(vec![template.parse().unwrap()]).unwrap(),
        request: RequestSpec::new(http::Method::GET, Coding::Undo),
        order: Order::Sequential,
        limit: None,
        max_body: 100_000,
        storage: Storage::default(),
        expect: Expectations::default(),
        coding: Coding::Undo,
        redirects: 0,
        cookies: CookiePolicy::Forget,
    }
}

fn settings(directory: &std::path::Path) -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        output: directory.join("job"),
        sources: None,
        rate: Rate::Max,
        rate_total: Rate::Max,
        connect_rate: Rate::Max,
        concurrency: 2,
        concurrency_mode: ConcurrencyMode::Fixed,
        memory: 64 << 20,
        threads: 1,
        robots: RobotsPolicy::Ignore,
        http: HttpVersion::Auto,
        streams: 10,
        retries: 1,
        on_limit: OnLimit::Slow,
        error_budget: None,
        max_outage: 600 * second,
        delivery: None,
        deadlines: Deadlines {
            total: second,
            connect: second,
            first_byte: second,
            idle: second,
        },
        trust: Trust::System,
        identity: None,
        resolve: Vec::new(),
        proxy: None,
        compression: Compression {
            level: 1,
            reach: Reach::OfLevel,
        },
        commit_every: 30 * second,
        keep_free: KeepFree::Bytes(0),
        invocation: Vec::new(),
        options: Vec::new(),
        append: false,
        retry: Vec::new(),
        grace: second,
        seed: 1,
    }
}

impl Fixture {
    /// A shard of `job`, with settings that differ from the usual by `change`.
    pub(super) fn new(job: Job, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(directory.path());
        change(&mut settings);
        let JobDirectory { ledger, segments } =
            JobDirectory::open(&settings.output, &job.description(), job.extent()).unwrap();
        let (sink, _events) = events::channel();
        let destinations = DestinationSettings {
            rate: settings.rate,
            rate_total: settings.rate_total,
            http: settings.http,
            resolve: Vec::new(),
            proxy: None,
        };
        let connects = connect_limit(settings.connect_rate);
        let outage = Outage::new(
            settings.max_outage,
            false,
            None,
            Arc::clone(&connects),
            sink.clone(),
        );
        let shard = Shard::new(ShardConfig {
            disk: Disk::new(segments.clone(), settings.keep_free, 0),
            connects,
            memory: Memory::new(settings.memory),
            open: job.extent().visited,
            small_files: Vec::new(),
            ledger,
            segments,
            destinations: Arc::new(Destinations::new(destinations, sink)),
            pool: None,
            bounded: None,
            seen: None,
            used: UsedAddresses::default(),
            progress: Arc::new(Progress::default()),
            stop: Stop::new(),
            outage: Arc::new(outage),
            index: 0,
            limits: Limits::new(settings.concurrency, settings.threads),
            seed: settings.seed,
            descriptors: 100,
            job: Arc::new(job),
            settings: Arc::new(settings),
        });
        Self {
            shard: Rc::new(shard),
            _directory: directory,
        }
    }
}
