//! A small crawl, and its records.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use v6kit_crawl::{
    ConcurrencyMode, CookiePolicy, Crawl, Deadlines, Expectations, Job, OnLimit, Rate, RobotsPolicy,
    Settings, Summary, Trust,
};
use v6kit_model::input::{Items, RequestSpec};
use v6kit_model::{Coding, HttpVersion, Order};
use v6kit_store::{Compression, KeepFree, Reach, Selection, Storage};

pub(crate) fn job(url: &str) -> Job {
    Job {
        items: Items::templates(vec![url.parse().unwrap()]).unwrap(),
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

pub(crate) fn settings(output: &Path) -> Settings {
    Settings {
        max_outage: Duration::from_secs(600),
        delivery: None,
        output: output.to_owned(),
        sources: None,
        rate: Rate::Max,
        rate_total: Rate::Max,
        connect_rate: Rate::Max,
        memory: 64 << 20,
        concurrency: 4,
        concurrency_mode: ConcurrencyMode::Fixed,
        threads: 1,
        robots: RobotsPolicy::Ignore,
        http: HttpVersion::Auto,
        streams: 10,
        retries: 0,
        on_limit: OnLimit::Slow,
        error_budget: None,
        deadlines: Deadlines {
            total: Duration::from_secs(6),
            connect: Duration::from_secs(6),
            first_byte: Duration::from_secs(3),
            idle: Duration::from_secs(3),
        },
        trust: Trust::System,
        identity: None,
        resolve: Vec::new(),
        proxy: None,
        compression: Compression {
            level: 1,
            reach: Reach::OfLevel,
        },
        commit_every: Duration::from_secs(30),
        keep_free: KeepFree::Bytes(0),
        invocation: Vec::new(),
        options: Vec::new(),
        append: false,
        retry: Vec::new(),
        grace: Duration::from_secs(1),
        seed: 1,
    }
}

pub(crate) async fn crawl(job: Job, settings: Settings) -> (Summary, Vec<Value>) {
    let output = settings.output.clone();
    let crawl = Crawl::start(job, settings, drop).await.unwrap();
    crawl.ended().await;
    let summary = crawl.finish().unwrap();
    let mut lines = Vec::new();
    v6kit_store::cat(&output, &Selection::default(), &mut lines).unwrap();
    let records = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    (
        summary,
        records
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect(),
    )
}
