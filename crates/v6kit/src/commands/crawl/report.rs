//! What a crawl came to, for people and for programs.

use indicatif::{HumanBytes, HumanCount};
use v6kit_crawl::{PrefixSummary, Rate, Summary};

use crate::printer::{Printer, Tone};

pub(super) fn print(summary: &Summary, rate: Rate, printer: &Printer) {
    printer.json(summary);
    let count = |number: u64| HumanCount(number).to_string();
    let latency = &summary.latency_ms;
    let mut rows = vec![
        ("done", done(summary)),
        (
            "ok",
            of_job(summary, summary.ok, summary.run.ok, Tone::Good, printer),
        ),
        (
            "absent",
            of_job(summary, summary.absent, summary.run.absent, Tone::Good, printer),
        ),
        (
            "blocked",
            of_job(summary, summary.blocked, summary.run.blocked, Tone::Bad, printer),
        ),
        (
            "transient",
            of_job(
                summary,
                summary.transient,
                summary.run.transient,
                Tone::Bad,
                printer,
            ),
        ),
        (
            "fatal",
            of_job(summary, summary.fatal, summary.run.fatal, Tone::Bad, printer),
        ),
        (
            "requests",
            format!(
                "{}, {} of them retries",
                count(summary.requests),
                count(summary.retries)
            ),
        ),
        (
            "time",
            format!(
                "{:.1} s, {:.1} items/s, {:.2} s of CPU",
                summary.seconds, summary.rate, summary.cpu_seconds
            ),
        ),
        (
            "latency",
            format!(
                "p50 {} ms, p90 {} ms, p99 {} ms, max {} ms",
                latency.p50, latency.p90, latency.p99, latency.max
            ),
        ),
        (
            "connections",
            format!(
                "{} from {} addresses",
                count(summary.connections),
                count(summary.addresses)
            ),
        ),
        ("received", HumanBytes(summary.bytes_in).to_string()),
        (
            "stored",
            format!(
                "{} in {} segments",
                HumanBytes(summary.bytes_stored),
                count(summary.segments)
            ),
        ),
    ];
    if summary.concurrency_found {
        rows.push((
            "concurrency",
            format!(
                "{} requests in flight, found by -c auto",
                count(summary.concurrency as u64)
            ),
        ));
    }
    if let Some(networks) = &summary.networks
        && let Some(finding) = finding(networks)
    {
        rows.push(("counted by", finding));
    }
    if summary.run.refusals > 0 {
        rows.push((
            "refusals",
            format!(
                "{} answers with 429 or 503 in this run",
                count(summary.run.refusals)
            ),
        ));
    }
    if let Rate::PerSecond(_) = rate {
        rows.push((
            "pace",
            format!("at most {rate} per destination; -r sets another, -r max none"),
        ));
    }
    if !summary.kinds.is_empty() {
        rows.insert(6, ("failures", kinds(summary)));
    }
    printer.table(rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]));
}

/// At which width the site counts, where its refusals show it.
fn finding(networks: &PrefixSummary) -> Option<String> {
    let width = |length: u8| networks.widths.iter().find(|width| width.length == length);
    let name = |length: u8| match length {
        128 => "address".to_owned(),
        length => format!("/{length}"),
    };
    let share = |length: u8| {
        let width = width(length)?;
        Some(format!(
            "{} of {} new {} refused at once",
            HumanCount(width.new_refused),
            HumanCount(width.new),
            match length {
                128 => "addresses were".to_owned(),
                length => format!("/{length}s were"),
            }
        ))
    };
    if let Some(length) = networks.counted_by {
        return Some(format!("{}: {}", name(length), share(length)?));
    }
    let length = networks.wider_than?;
    Some(format!(
        "networks wider than one {}: {}",
        name(length),
        share(length)?
    ))
}

fn done(summary: &Summary) -> String {
    let count = |number: u64| HumanCount(number).to_string();
    let done = format!(
        "{} of {}",
        count(summary.total - summary.left),
        count(summary.total)
    );
    if summary.resumed > 0 {
        format!("{done}, {} of them before", count(summary.resumed))
    } else {
        done
    }
}

/// The kinds of the failures of this run, the most frequent first.
fn kinds(summary: &Summary) -> String {
    let mut kinds: Vec<_> = summary.kinds.iter().collect();
    kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(**count), **kind));
    let named: Vec<String> = kinds
        .iter()
        .take(5)
        .map(|(kind, count)| format!("{} {kind}", HumanCount(**count)))
        .collect();
    let more = if kinds.len() > named.len() {
        ", and others"
    } else {
        ""
    };
    format!(
        "{}{more}; `v6kit explain {}` says what that means",
        named.join(", "),
        kinds[0].0
    )
}

/// Items of the job, and where some were done before, how many of them in this run.
fn of_job(summary: &Summary, job: u64, run: u64, tone: Tone, printer: &Printer) -> String {
    let text = match tone {
        Tone::Bad if job > 0 => printer.paint(HumanCount(job), tone),
        _ => HumanCount(job).to_string(),
    };
    if summary.resumed > 0 && run != job {
        format!("{text}, {} of them in this run", HumanCount(run))
    } else {
        text
    }
}
