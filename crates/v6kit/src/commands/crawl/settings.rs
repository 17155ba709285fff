//! From arguments to a job and its settings.

use std::time::Duration;

use v6kit_crawl::{Job, Settings};

use super::args::{RunArgs, sources};
use crate::failure::Failure;
use crate::printer::Printer;

/// A crawl that is ready to start.
pub(super) struct Plan {
    pub(super) job: Job,
    pub(super) settings: Settings,
    pub(super) stats_interval: Option<Duration>,
}

pub(super) async fn plan(args: RunArgs, printer: &Printer) -> Result<Plan, Failure> {
    let coding = args.data.coding();
    let mut request = args.request.resolve(coding)?;
    args.access.log_in(&mut request)?;
    let way = args.access.way()?;
    let output = args.output.expect("clap requires it");
    let (limit, order) = (args.items.limit, args.items.order());
    let seed = args.items.seed.unwrap_or_else(rand::random);
    for remark in args.items.remarks() {
        printer.note(remark);
    }
    let items = args.items.resolve(&output)?;
    let storage = args.storage.resolve()?;
    let sources = args.sources.resolve(seed, &args.state.state_dir, printer).await?;
    let delivery = sources.as_ref().map(|sources| sources::delivery(sources.prefix));
    let max_outage = args.terms.max_outage;
    let terms = args.terms.resolve(sources.is_some())?;
    let speed = args.speed.resolve(printer)?;
    let job = Job {
        items,
        request,
        order,
        limit,
        max_body: args.data.max_body,
        storage,
        expect: args.data.resolve()?,
        coding,
        redirects: args.request.redirects,
        cookies: args.request.cookies(),
    };
    let settings = Settings {
        output,
        sources,
        rate: speed.rate,
        rate_total: speed.rate_total,
        connect_rate: speed.connect_rate,
        concurrency: speed.slots,
        concurrency_mode: speed.mode,
        threads: speed.threads,
        memory: speed.memory,
        robots: terms.robots,
        http: args.request.http(),
        streams: args.request.streams,
        retries: args.deadlines.retries,
        on_limit: terms.on_limit,
        error_budget: terms.error_budget,
        max_outage,
        delivery,
        deadlines: args.deadlines.resolve(),
        trust: args.trust.resolve(printer),
        identity: way.identity,
        resolve: way.resolve,
        proxy: way.proxy,
        compression: args.storage.compression(),
        commit_every: args.storage.commit_every,
        keep_free: args.storage.keep_free.unwrap_or_default(),
        invocation: Vec::new(),
        grace: args.deadlines.grace,
        seed,
    };
    Ok(Plan {
        job,
        settings,
        stats_interval: args.report.stats_interval,
    })
}
