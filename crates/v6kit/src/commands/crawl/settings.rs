//! From arguments to a job and its settings.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use v6kit_crawl::{Job, Settings};
use v6kit_model::input::{BodyForm, RequestSpec};
use v6kit_store::{Catalog as _, SqliteLedger};

use super::args::{RunArgs, sources};
use crate::printer::Printer;

/// A crawl that is ready to start.
pub(super) struct Plan {
    pub(super) job: Job,
    pub(super) settings: Settings,
    pub(super) stats_interval: Option<Duration>,
}

/// What is said of a body that may be meant to be filled.
const UNFILLED: &str = "the body holds {} or the like, and is sent as it is; --fill puts what tells the items apart in its place";

const NO_THREAD: &str = "a thread cannot be started";

/// A job that an earlier release began has its body filled as it was then. Its ledger, which may be a large one, is
/// read only where the body would show the difference.
async fn fill_as_before(request: &mut RequestSpec, output: &Path) -> anyhow::Result<()> {
    if request.body_form == BodyForm::Filled || !request.body_looks_filled() {
        return Ok(());
    }
    let directory = output.to_owned();
    let description = v6kit_crawl::aside(move || SqliteLedger::read(&directory).ok()?.description().ok());
    let description = description.await.context(NO_THREAD)?;
    if description.is_some_and(|description| description.fills_body().is_none()) {
        request.body_form = BodyForm::Filled;
    }
    Ok(())
}

pub(super) async fn plan(args: RunArgs, printer: &Printer) -> anyhow::Result<Plan> {
    let coding = args.data.coding();
    let mut request = args.request.resolve(coding)?;
    args.access.log_in(&mut request)?;
    let way = args.access.way()?;
    let output = args.output.expect("clap requires it");
    let (limit, order, append) = (args.items.limit, args.items.order(), args.items.append);
    let seed = args.items.seed.unwrap_or_else(rand::random);
    for remark in args.items.remarks() {
        printer.note(remark);
    }
    let (mut list, directory) = (args.items, output.clone());
    list.fetch(&output).await?;
    // A long list takes time, and one from a pipe as long as whoever writes it.
    let items = v6kit_crawl::aside(move || list.resolve(&directory));
    let items = items.await.context(NO_THREAD)??;
    fill_as_before(&mut request, &output).await?;
    if request.body_form == BodyForm::Literal && request.body_looks_filled() && items.has_values() {
        printer.warning(UNFILLED);
    }
    let storage = args.storage.resolve()?;
    let is_per_host = args.sources.is_per_host();
    let sources = args.sources.resolve(seed, &args.state.state_dir, printer).await?;
    let delivery = sources.as_ref().map(|sources| sources::delivery(sources.prefix));
    let max_outage = args.terms.max_outage;
    let terms = args.terms.resolve(sources.is_some(), is_per_host)?;
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
        options: Vec::new(),
        append,
        retry: Vec::new(),
        grace: args.deadlines.grace,
        seed,
    };
    Ok(Plan {
        job,
        settings,
        stats_interval: args.report.stats_interval,
    })
}
