//! `v6kit crawl status`.

use std::path::Path;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, HumanDuration};
use v6kit_model::Outcome;
use v6kit_net::Hint;
use v6kit_store::{Forecast, Status};

use super::read::exit_of;
use crate::command_line::quoted;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};

pub(super) fn status(directory: &Path, printer: &Printer) -> Result<Exit, Failure> {
    let status = v6kit_store::status(directory)
        .map_err(|error| Failure::because(exit_of(&error), "there is no status", &error))?;
    printer.json(&document(&status));
    printer.table(rows(&status, printer));
    let Some(lost) = &status.lost else {
        return Ok(Exit::Done);
    };
    printer.warning(lost);
    if let Some(hint) = lost.hint() {
        printer.note(format_args!("hint: {hint}"));
    }
    Ok(Exit::Failed)
}

fn document(status: &Status) -> serde_json::Value {
    let Status {
        description,
        standing,
        forecast,
        ..
    } = status;
    let outcomes: serde_json::Map<String, serde_json::Value> = Outcome::ALL
        .iter()
        .map(|&outcome| (outcome.to_string(), standing.done.of(outcome).into()))
        .collect();
    serde_json::json!({
        "url": description.get("url"),
        "format": description.format().as_str(),
        "total": standing.total,
        "done": standing.done.sum(),
        "left": standing.left(),
        "retrying": standing.retrying,
        "outcomes": outcomes,
        "segments": standing.segments,
        "bytes_stored": standing.bytes,
        "complete": standing.left() == 0 && status.lost.is_none(),
        "lost": status.lost.as_ref().map(ToString::to_string),
        "forecast": forecast.map(|forecast| serde_json::json!({
            "bytes_per_item": round(forecast.bytes_per_item),
            "bytes_total": forecast.total_bytes,
            "bytes_left": forecast.bytes_left,
            "bytes_free": forecast.free,
            "rate": forecast.rate.map(round),
            "seconds_left": forecast.seconds_left.map(round),
        })),
        "command": quoted(&status.invocation),
    })
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn rows(status: &Status, printer: &Printer) -> Vec<Vec<String>> {
    let Status {
        description,
        standing,
        forecast,
        invocation,
        ..
    } = status;
    let count = |number: u64| HumanCount(number).to_string();
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let left = if standing.retrying > 0 {
        format!(
            "{}, {} of them again",
            count(standing.left()),
            count(standing.retrying)
        )
    } else {
        count(standing.left())
    };
    let mut rows = vec![
        row("url", urls(description.get("url").unwrap_or_default())),
        row(
            "done",
            format!("{} of {}", count(standing.done.sum()), count(standing.total)),
        ),
        row("left", left),
    ];
    rows.extend(Outcome::ALL.map(|outcome| row(outcome.as_str(), count(standing.done.of(outcome)))));
    rows.push(row(
        "stored",
        format!(
            "{} in {} segments ({})",
            HumanBytes(standing.bytes),
            count(standing.segments),
            description.format()
        ),
    ));
    if standing.left() > 0 {
        if let Some(forecast) = forecast {
            rows.push(row("forecast", forecast_text(forecast)));
            if forecast.exceeds_disk() {
                let free = HumanBytes(forecast.free.unwrap_or(0));
                let text = format!("only {free} are free: the rest does not fit");
                rows.push(row("", printer.paint(text, Tone::Bad)));
            }
        }
        if !invocation.is_empty() {
            rows.push(row("to go on", quoted(invocation)));
        }
    }
    rows
}

/// What a person wants to see of URLs, a line each: some of them, and how many more there are.
fn urls(lines: &str) -> String {
    const SHOWN: usize = 3;
    let count = lines.lines().count();
    if count <= SHOWN {
        return lines.lines().collect::<Vec<_>>().join(" ");
    }
    let first = lines.lines().next().unwrap_or_default();
    format!("{first} and {} more", HumanCount(count as u64 - 1))
}

/// `312 B per item: 2.9 GiB in the end, 2.8 GiB still to come; 3 days left at 150/s`.
pub(super) fn forecast_text(forecast: &Forecast) -> String {
    let mut text = format!(
        "{:.0} B per item: {} in the end, {} still to come",
        forecast.bytes_per_item,
        HumanBytes(forecast.total_bytes),
        HumanBytes(forecast.bytes_left),
    );
    if let (Some(rate), Some(seconds)) = (forecast.rate, forecast.seconds_left) {
        let left = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        text.push_str(&format!("; {} left at {rate:.0}/s", HumanDuration(left)));
    }
    text
}
