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
        ("ok", count(summary.ok)),
        ("absent", count(summary.absent)),
        ("blocked", failures(summary.blocked, printer)),
        ("transient", failures(summary.transient, printer)),
        ("fatal", failures(summary.fatal, printer)),
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
    if let Rate::PerSecond(_) = rate {
        rows.push((
            "pace",
            format!("at most {rate} per destination; -r sets another, -r max none"),
        ));
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

fn failures(number: u64, printer: &Printer) -> String {
    let text = HumanCount(number).to_string();
    if number == 0 {
        text
    } else {
        printer.paint(text, Tone::Bad)
    }
}
