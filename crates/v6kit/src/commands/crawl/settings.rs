//! From arguments to a job and its settings.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method};
use v6kit_crawl::{
    ConcurrencyMode, CookiePolicy, Deadlines, ErrorBudget, Expectations, Job, OnLimit, Rate, RobotsPolicy,
    Settings, Sources, Trust,
};
use v6kit_model::input::{Items, List, ListSource, RequestSpec};
use v6kit_model::{Coding, HttpVersion, Order};
use v6kit_net::Prefix;
use v6kit_store::{Compression, Content, FieldPath, Format, Reach, Storage};

use super::values::Concurrency;
use super::{HttpChoice, OnLimitChoice, OrderChoice, RobotsChoice, RunArgs, Target};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// Requests in flight where nothing else is said.
const CONCURRENCY: usize = 100;

/// The most that `-c auto` tries.
const MOST_AUTO: usize = 4096;

/// File descriptors that are not connections: the ledger, a segment and a runtime per shard, the terminal,
/// name servers.
const OTHER_FILES: usize = 128;
const FILES_PER_SHARD: usize = 8;

/// Requests per second that one shard is good for without being busy.
const RATE_PER_SHARD: f64 = 10_000.0;

/// The default level: on JSON bodies of some 300 bytes within 1 % of the size of level 3, for 5 to 20 % less CPU.
pub(super) const LEVEL: i32 = 2;

/// A crawl that is ready to start.
pub(super) struct Plan {
    pub(super) job: Job,
    pub(super) settings: Settings,
    pub(super) stats_interval: Option<Duration>,
}

pub(super) async fn plan(args: RunArgs, printer: &Printer) -> Result<Plan, Failure> {
    let request = request(&args)?;
    let RunArgs {
        urls,
        input,
        output,
        prefix,
        requests_per_address,
        address_age,
        addresses,
        rate,
        rate_total,
        timeout,
        connect_timeout,
        first_byte_timeout,
        idle_timeout,
        grace,
        retries,
        cacert,
        insecure,
        max_body,
        limit,
        order,
        seed,
        format,
        store,
        extract,
        level,
        long,
        commit_every,
        keep_free,
        stats_interval,
        state,
        http,
        streams,
        robots,
        on_limit,
        max_error_rate,
        probe_pause,
        expect,
        block_pattern,
        raw,
        concurrency,
        threads,
        redirects,
        cookies,
        access,
        ..
    } = args;
    let way = access.way()?;
    let output = output.expect("clap requires it");
    let items = items(urls, input, &output)?;
    let storage = storage(format, store, extract)?;
    let prefix = prefix_or_last(prefix, &state.state_dir, printer)?;
    let draw_seed = seed.unwrap_or_else(rand::random);
    let sources = match prefix {
        Some(prefix) => Some(Sources {
            prefix,
            excluded: excluded(prefix).await?,
            seed: draw_seed,
            requests_per_address,
            address_age,
            addresses: super::super::sources::addresses(addresses, Some(prefix), printer),
        }),
        None => None,
    };
    let on_limit = on_limit_of(on_limit, sources.is_some())?;
    let (slots, threads) = fit(concurrency, threads, rate, printer)?;
    let job = Job {
        items,
        request,
        order: match order {
            OrderChoice::Sequential => Order::Sequential,
            // Without a seed, a fixed one: the order belongs to the job, and the next run must find it again.
            OrderChoice::Shuffle => Order::Shuffle {
                seed: seed.unwrap_or(0),
            },
        },
        limit,
        max_body,
        storage,
        expect: Expectations::new(expect, &block_pattern)
            .map_err(|error| Failure::because(Exit::Usage, "the patterns cannot be used", &error))?,
        coding: coding(raw),
        redirects,
        cookies: if cookies {
            CookiePolicy::PerAddress
        } else {
            CookiePolicy::Forget
        },
    };
    let settings = Settings {
        output,
        sources,
        rate,
        rate_total,
        concurrency: slots,
        concurrency_mode: match concurrency {
            Some(Concurrency::Auto) => ConcurrencyMode::Auto,
            Some(Concurrency::Fixed(_)) | None => ConcurrencyMode::Fixed,
        },
        threads,
        robots: match robots {
            RobotsChoice::Obey => RobotsPolicy::Obey,
            RobotsChoice::Ignore => RobotsPolicy::Ignore,
        },
        http: match http {
            HttpChoice::Auto => HttpVersion::Auto,
            HttpChoice::One => HttpVersion::One,
            HttpChoice::Two => HttpVersion::Two,
        },
        streams,
        retries,
        on_limit,
        // 100 % cannot be exceeded.
        error_budget: (max_error_rate < 1.0).then_some(ErrorBudget {
            share: max_error_rate,
            pause: probe_pause,
        }),
        deadlines: Deadlines {
            total: timeout,
            connect: connect_timeout,
            first_byte: first_byte_timeout.unwrap_or(timeout),
            idle: idle_timeout,
        },
        trust: trust(cacert, insecure, printer),
        identity: way.identity,
        resolve: way.resolve,
        proxy: way.proxy,
        compression: Compression {
            level,
            reach: if long { Reach::Long } else { Reach::OfLevel },
        },
        commit_every,
        keep_free: keep_free.unwrap_or_default(),
        invocation: Vec::new(),
        grace,
        seed: draw_seed,
    };
    Ok(Plan {
        job,
        settings,
        stats_interval,
    })
}

fn storage(format: Format, content: Content, extract: Vec<FieldPath>) -> Result<Storage, Failure> {
    let refused = |what: &str, why: &str, hint: &str| {
        Err(Failure::new(Exit::Usage, what.to_owned()).why(why).hint(hint))
    };
    if format == Format::Warc && (content != Content::Body || !extract.is_empty()) {
        return refused(
            "a WARC cannot hold parts of answers",
            "it keeps requests and responses as they were",
            "leave out --store and --extract, or use --format ndjson or parquet",
        );
    }
    if content == Content::Meta && !extract.is_empty() {
        return refused(
            "there is nothing to extract from",
            "--store meta keeps no bodies",
            "use --store body",
        );
    }
    Ok(Storage {
        format,
        content,
        extract,
    })
}

fn request(args: &RunArgs) -> Result<RequestSpec, Failure> {
    let method = match (&args.method, &args.data) {
        (Some(method), _) => method.clone(),
        (None, Some(_)) => Method::POST,
        (None, None) => Method::GET,
    };
    let mut request = RequestSpec::new(method, coding(args.raw));
    if let Some(agent) = &args.user_agent {
        request.headers.insert(USER_AGENT, agent.clone());
    }
    if let Some(data) = &args.data {
        request.body = body(data)?.into();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(CONTENT_TYPE, form);
    }
    request.add_headers(args.headers.iter().cloned());
    args.access.log_in(&mut request)?;
    Ok(request)
}

fn coding(raw: bool) -> Coding {
    if raw { Coding::Keep } else { Coding::Undo }
}

fn on_limit_of(choice: OnLimitChoice, has_prefix: bool) -> Result<OnLimit, Failure> {
    match choice {
        OnLimitChoice::Slow => Ok(OnLimit::Slow),
        OnLimitChoice::Stop => Ok(OnLimit::Stop),
        OnLimitChoice::Rotate if has_prefix => Ok(OnLimit::Rotate),
        OnLimitChoice::Rotate => Err(Failure::new(Exit::Usage, "there is nothing to rotate through")
            .why("--on-limit rotate goes on from other addresses, and there is no prefix to draw them from")
            .hint("give --prefix, or set one up first: `v6kit help setup`")),
    }
}

fn body(data: &str) -> Result<Vec<u8>, Failure> {
    let Some(path) = data.strip_prefix('@') else {
        return Ok(data.as_bytes().to_vec());
    };
    fs::read(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("the body cannot be read from {path}"))
            .why(error.to_string())
            .hint("write -d @FILE for a file, or -d TEXT for a text that does not begin with @")
    })
}

/// The prefix that was given, or that of the last setup.
fn prefix_or_last(
    prefix: Option<Prefix>,
    state_dir: &Path,
    printer: &Printer,
) -> Result<Option<Prefix>, Failure> {
    if prefix.is_some() {
        return Ok(prefix);
    }
    let summary = v6kit_host::Summary::read(state_dir).map_err(|error| {
        Failure::because(Exit::Failed, "the prefix of the last setup is not known", &error)
    })?;
    let last = summary
        .as_ref()
        .and_then(v6kit_host::Summary::latest)
        .map(|setup| setup.prefix);
    match last {
        Some(prefix) => printer.note(format!("sending from {prefix}, the prefix of the last setup")),
        None => printer.note("no prefix is set up and none was given: sending from this host's own address"),
    }
    Ok(last)
}

/// The addresses of `prefix` that belong to somebody. A single address is meant, whoever holds it.
async fn excluded(prefix: Prefix) -> Result<Vec<std::net::Ipv6Addr>, Failure> {
    if prefix.length() == 128 {
        return Ok(Vec::new());
    }
    v6kit_host::reserved_addresses()
        .await
        .map_err(|error| Failure::because(Exit::Failed, "this host's own addresses are not known", &error))
}

fn trust(cacert: Option<PathBuf>, insecure: bool, printer: &Printer) -> Trust {
    if insecure {
        printer.warning(
            "--insecure: certificates are not checked, so that anybody on the path can read and change everything",
        );
        return Trust::Anyone;
    }
    cacert.map_or(Trust::System, Trust::File)
}

/// Concurrency and threads, within what this process may open.
fn fit(
    concurrency: Option<Concurrency>,
    threads: Option<u16>,
    rate: Rate,
    printer: &Printer,
) -> Result<(usize, usize), Failure> {
    let wanted = match concurrency {
        Some(Concurrency::Fixed(wanted)) => wanted,
        Some(Concurrency::Auto) => MOST_AUTO,
        None => CONCURRENCY,
    };
    let threads = threads.map_or_else(|| threads_for(rate), usize::from).min(wanted);
    let others = OTHER_FILES + FILES_PER_SHARD * threads;
    let needed = wanted + others;
    let limit = v6kit_net::raise_file_limit(needed as u64).map_err(|error| {
        Failure::new(Exit::NotPermitted, "the limit on open files cannot be raised").why(error.to_string())
    })?;
    let room = usize::try_from(limit.soft)
        .unwrap_or(usize::MAX)
        .saturating_sub(others);
    if room >= wanted {
        return Ok((wanted, threads));
    }
    let why = format!(
        "this process may open {} files (RLIMIT_NOFILE), {needed} are needed",
        limit.soft
    );
    if concurrency == Some(Concurrency::Auto) && room > 0 {
        return Ok((room, threads.min(room)));
    }
    if concurrency.is_some() || room == 0 {
        return Err(
            Failure::new(Exit::Usage, format!("{wanted} requests in flight do not fit"))
                .why(why)
                .hint(if room == 0 {
                    "raise the hard limit: setup does for logins (`v6kit help setup`), LimitNOFILE= for a unit".to_owned()
                } else {
                    format!("use -c {room}, or raise the hard limit: setup does for logins (`v6kit help setup`), LimitNOFILE= for a unit")
                }),
        );
    }
    printer.warning(format!(
        "{why}: using {room} requests in flight instead of {wanted}"
    ));
    Ok((room, threads.min(room)))
}

fn threads_for(rate: Rate) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    match rate {
        Rate::Max => cores,
        Rate::PerSecond(rate) => ((rate / RATE_PER_SHARD).ceil() as usize).clamp(1, cores),
    }
}

/// The items: templates, or the lines of a list.
fn items(targets: Vec<Target>, input: Option<PathBuf>, output: &Path) -> Result<Items, Failure> {
    let wrong = |what: &str, hint: &str| {
        Err(Failure::new(Exit::Usage, "it is not clear what to fetch")
            .why(what)
            .hint(hint))
    };
    let (mut templates, mut patterns) = (Vec::new(), Vec::new());
    let mut source = input.map(|path| {
        if path == Path::new("-") {
            ListSource::StandardInput
        } else {
            ListSource::File(path)
        }
    });
    for target in targets {
        match target {
            Target::Template(template) => templates.push(template),
            Target::Substituted(url) => patterns.push(url),
            Target::StandardInput if source.is_none() => source = Some(ListSource::StandardInput),
            Target::StandardInput => {
                return wrong(
                    "there are two lists",
                    "give one: -i FILE, or - for standard input",
                );
            }
        }
    }
    let Some(source) = source else {
        if !patterns.is_empty() {
            return wrong(
                "a URL holds {}, and no lines are given to put there",
                "add -i FILE, or - for standard input",
            );
        }
        return Items::templates(templates)
            .map_err(|error| Failure::because(Exit::Usage, "too much to crawl", &error));
    };
    if !templates.is_empty() || patterns.len() > 1 {
        return wrong(
            "a list and other URLs are given",
            "give the list alone, or with one URL that holds {}",
        );
    }
    let list = List::open(&source, output)
        .map_err(|error| Failure::because(Exit::Usage, "the list cannot be used", &error))?;
    match patterns.pop() {
        None => {
            let items = Items::lines(list);
            items
                .check_first_lines()
                .map_err(|error| Failure::because(Exit::Usage, "the list cannot be used", &error))?;
            Ok(items)
        }
        Some(url) => Items::substituted(list, &url)
            .map_err(|error| Failure::because(Exit::Usage, format!("`{url}` cannot be crawled"), &error)),
    }
}
