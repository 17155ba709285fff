//! What a crawl came to, for people and for programs.

use indicatif::{HumanBytes, HumanCount};
use v6kit_crawl::{Rate, Summary};

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
    if let Rate::PerSecond(_) = rate {
        rows.push((
            "pace",
            format!("at most {rate} per destination; -r sets another, -r max none"),
        ));
    }
    printer.table(rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]));
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
