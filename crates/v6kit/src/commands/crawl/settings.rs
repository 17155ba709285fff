//! From arguments to a job and its settings.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use v6kit_crawl::{
    Coding, Compression, ConcurrencyMode, Content, CookiePolicy, Deadlines, ErrorBudget, Expectation,
    Expectations, FieldPath, Format, HttpVersion, Job, KeepFree, List, ListSource, OnLimit, Order, Rate,
    Reach, RequestSpec, RobotsPolicy, Settings, Sources, Storage, Trust, Work,
};
use v6kit_net::Prefix;

use super::{HttpChoice, OnLimitChoice, OrderChoice, RobotsChoice, RunArgs, Target};
use crate::args::BadValue;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// Requests in flight where nothing else is said.
const CONCURRENCY: usize = 100;

/// The most that `-c auto` tries.
const MOST_AUTO: usize = 4096;

/// A value of `--concurrency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concurrency {
    Auto,
    Fixed(usize),
}

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
    let work = work(urls, input, &output)?;
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
        work,
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
            .hint("give --prefix, or run `v6kit setup` first")),
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
                    "raise the limit: `ulimit -Hn` as root, or `v6kit setup`".to_owned()
                } else {
                    format!("use -c {room}, or raise the limit: `ulimit -Hn` as root, or `v6kit setup`")
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
fn work(targets: Vec<Target>, input: Option<PathBuf>, output: &Path) -> Result<Work, Failure> {
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
        return Work::templates(templates)
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
        None => Ok(Work::lines(list)),
        Some(url) => Work::substituted(list, &url)
            .map_err(|error| Failure::because(Exit::Usage, format!("`{url}` cannot be crawled"), &error)),
    }
}

/// Parses a URL, a template, a URL with a place for lines, or `-`.
pub(super) fn url(text: &str) -> Result<Target, BadValue> {
    match text {
        "-" => Ok(Target::StandardInput),
        text if text.contains(v6kit_crawl::PLACE) => Ok(Target::Substituted(text.to_owned())),
        text => text
            .parse()
            .map(Target::Template)
            .map_err(|error: v6kit_crawl::TemplateError| BadValue::from(&error)),
    }
}

/// Parses `150/s`, `90/min`, `1000/h`, `150` (per second) or `max`.
pub(super) fn rate(text: &str) -> Result<Rate, BadValue> {
    let bad = || BadValue::new("it is not a rate", "write 150/s, 90/min, 1000/h or max");
    if text == "max" {
        return Ok(Rate::Max);
    }
    let (count, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        "d" | "day" => 86_400.0,
        _ => return Err(bad()),
    };
    let count: f64 = count.parse().map_err(|_invalid| bad())?;
    if !count.is_finite() || count <= 0.0 {
        return Err(bad());
    }
    Ok(Rate::PerSecond(count / seconds))
}

/// Parses `100` or `auto`.
pub(super) fn concurrency(text: &str) -> Result<Concurrency, BadValue> {
    match text.parse() {
        _ if text == "auto" => Ok(Concurrency::Auto),
        Ok(number @ 1..=4_000_000_000) => Ok(Concurrency::Fixed(number)),
        _ => Err(BadValue::new(
            "it is not a number of requests",
            "write a number from 1 on, or auto",
        )),
    }
}

/// Parses how many source addresses there may be at a time.
pub(super) fn addresses(text: &str) -> Result<NonZeroUsize, BadValue> {
    match text.parse() {
        Ok(number @ 1..=65_536) => Ok(NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)),
        _ => Err(BadValue::new(
            "it is not a number from 1 to 65536",
            "an on-link prefix needs about 300; leave it out for any number",
        )),
    }
}

/// Parses `20%` or `0.2` to a part of 1.
pub(super) fn percent(text: &str) -> Result<f64, BadValue> {
    let bad = || BadValue::new("it is not a percentage", "write 20%, or 100% for no limit");
    let part = match text.strip_suffix('%') {
        Some(number) => number.trim().parse::<f64>().map_err(|_invalid| bad())? / 100.0,
        None => text.parse().map_err(|_invalid| bad())?,
    };
    if (0.0..=1.0).contains(&part) {
        Ok(part)
    } else {
        Err(bad())
    }
}

/// Parses what is expected of data.
pub(super) fn expectation(text: &str) -> Result<Expectation, BadValue> {
    text.parse()
        .map_err(|error: v6kit_crawl::ExpectationError| BadValue::from(&error))
}

/// Checks a regular expression.
pub(super) fn pattern(text: &str) -> Result<String, BadValue> {
    let list = [text.to_owned()];
    Expectations::new(Vec::new(), &list).map_err(|error| BadValue::from(&error))?;
    let [text] = list;
    Ok(text)
}

/// Parses `30s`, `1m30s`, `500ms`.
pub(super) fn time(text: &str) -> Result<Duration, BadValue> {
    let bad = || BadValue::new("it is not a time", "write 500ms, 30s or 2m");
    let duration: jiff::SignedDuration = text.parse().map_err(|_invalid| bad())?;
    let duration = Duration::try_from(duration).map_err(|_negative| bad())?;
    // Timers reach no further.
    if duration.is_zero() || duration > Duration::from_secs(366 * 86_400) {
        return Err(bad());
    }
    Ok(duration)
}

/// Parses `10M`, `64KiB`, `1000`.
pub(super) fn size(text: &str) -> Result<u64, BadValue> {
    text.parse()
        .map(|ByteSize(bytes)| bytes)
        .map_err(|_invalid: String| BadValue::new("it is not a size", "write 500K, 10M or 1GiB"))
}

/// Parses `ndjson`, `warc` or `parquet`.
pub(super) fn format(text: &str) -> Result<Format, BadValue> {
    Format::ALL
        .into_iter()
        .find(|format| format.as_str() == text)
        .ok_or_else(|| BadValue::new("it is not a format", "use ndjson, warc or parquet"))
}

/// Parses `meta`, `body` or `body,headers`.
pub(super) fn content(text: &str) -> Result<Content, BadValue> {
    match text {
        "meta" => Ok(Content::Meta),
        "body" => Ok(Content::Body),
        "body,headers" | "headers,body" => Ok(Content::BodyAndHeaders),
        _ => Err(BadValue::new(
            "it is not what can be kept of an answer",
            "use meta, body or body,headers",
        )),
    }
}

/// Parses `a.b.c`.
pub(super) fn field(text: &str) -> Result<FieldPath, BadValue> {
    text.parse()
        .map_err(|error: v6kit_crawl::NotAPath| BadValue::from(&error))
}

/// Parses `5%`, `2GiB`, or `0` to fill the disk.
pub(super) fn keep_free(text: &str) -> Result<KeepFree, BadValue> {
    let Some(percent) = text.strip_suffix('%') else {
        return size(text).map(KeepFree::Bytes);
    };
    match percent.trim().parse::<f64>() {
        Ok(percent) if (0.0..100.0).contains(&percent) => Ok(KeepFree::Share {
            of: percent / 100.0,
            at_least: 0,
        }),
        _ => Err(BadValue::new(
            "it is not a share",
            "write 5%, or a size such as 2GiB",
        )),
    }
}

/// Parses `Name: value`.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), BadValue> {
    RequestSpec::parse_header(text).map_err(|error| BadValue::from(&error))
}

/// Parses a method.
pub(super) fn method(text: &str) -> Result<Method, BadValue> {
    RequestSpec::parse_method(text).map_err(|error| BadValue::from(&error))
}

/// Parses the value of `User-Agent`.
pub(super) fn user_agent(text: &str) -> Result<HeaderValue, BadValue> {
    text.parse()
        .map_err(|_invalid| BadValue::new("a header cannot hold it", "headers hold one line of text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_their_usual_forms() {
        assert_eq!(rate("150/s").unwrap(), Rate::PerSecond(150.0));
        assert_eq!(rate("90/min").unwrap(), Rate::PerSecond(1.5));
        assert_eq!(rate("0.5").unwrap(), Rate::PerSecond(0.5));
        assert_eq!(rate("max").unwrap(), Rate::Max);
        for text in ["", "0/s", "-1/s", "fast", "10/fortnight", "inf/s", "NaN"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_and_sizes_are_read_in_their_usual_forms() {
        assert_eq!(time("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(time("500ms").unwrap(), Duration::from_millis(500));
        assert!(["0s", "-5s", "soon", "5"].iter().all(|text| time(text).is_err()));
        assert_eq!(size("10M").unwrap(), 10_000_000);
        assert_eq!(size("1KiB").unwrap(), 1024);
        assert!(size("big").is_err());
        assert_eq!(keep_free("2GiB").unwrap(), KeepFree::Bytes(2 << 30));
        let share = KeepFree::Share { of: 0.1, at_least: 0 };
        assert_eq!(keep_free("10%").unwrap(), share);
        assert!(
            ["100%", "-1%", "%", "some"]
                .iter()
                .all(|text| keep_free(text).is_err())
        );
        assert_eq!((percent("20%").unwrap(), percent("0.5").unwrap()), (0.2, 0.5));
        assert!(percent("120%").is_err());
    }
}
