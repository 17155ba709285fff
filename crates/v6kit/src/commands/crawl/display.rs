//! What somebody sees while a crawl is running.

use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use v6kit_crawl::{Crawl, Sample};
use v6kit_model::Outcome;
use v6kit_store::Forecast;

use crate::printer::Printer;
use crate::stderr::Screen;

/// How often a terminal is drawn anew, and how often a log gets a line.
const DRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(10);

/// The present rate is measured over this much of the past.
const WINDOW: Duration = Duration::from_secs(5);

/// Progress: a bar on a terminal, lines elsewhere, nothing when quiet.
pub(super) struct Display<'a> {
    printer: &'a Printer,
    bar: Option<ProgressBar>,
    interval: Duration,
    total: u64,
    resumed: u64,
    began: Instant,
    /// Whether somebody was told that it does not fit.
    warned: bool,
    /// Moments and what was finished then, the oldest at most a window ago.
    past: std::collections::VecDeque<(Instant, u64)>,
}

impl<'a> Display<'a> {
    pub(super) fn new(crawl: &Crawl, interval: Option<Duration>, printer: &'a Printer) -> Self {
        let before = crawl.before();
        let bar = printer.shows_progress().then(|| bar(before.total));
        Self {
            printer,
            interval: if bar.is_some() {
                DRAW
            } else {
                interval.unwrap_or(LINE)
            },
            bar,
            total: before.total,
            resumed: before.done.sum(),
            began: Instant::now(),
            warned: false,
            past: std::collections::VecDeque::new(),
        }
    }

    /// Shows progress for as long as it is polled.
    pub(super) async fn run(&mut self, crawl: &Crawl) {
        let mut tick = tokio::time::interval(self.interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        tick.tick().await;
        loop {
            tokio::select! {
                _ = tick.tick() => self.show(crawl),
                notice = crawl.notice() => self.note(&notice),
            }
        }
    }

    /// A remark that does not tear the bar.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.printer.note(text)),
            None => self.printer.note(text),
        }
    }

    /// Leaves the terminal as it was.
    pub(super) fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn show(&mut self, crawl: &Crawl) {
        let sample = crawl.sample();
        let rate = self.rate(&sample);
        let done = self.resumed + sample.finished();
        let mut lines = self.lines(&sample, rate, done, crawl.concurrency());
        if let Some(forecast) = crawl.forecast() {
            lines.push(format!(
                "{} in the end ({:.0} B per item)",
                HumanBytes(forecast.total_bytes),
                forecast.bytes_per_item
            ));
            self.warn_once(&forecast);
        }
        let shards = if self.printer.is_verbose() {
            shard_lines(crawl)
        } else {
            Vec::new()
        };
        match &self.bar {
            Some(bar) => {
                let width = usize::from(console::Term::stderr().size().1);
                lines.extend(shards);
                let fitted = lines.iter().map(|line| console::truncate_str(line, width, "…"));
                bar.set_position(done.min(self.total));
                bar.set_message(fitted.collect::<Vec<_>>().join("\n"));
            }
            None if !self.printer.is_quiet() => {
                let line = lines.join("; ");
                self.printer
                    .note(format!("{}/{} {line}", HumanCount(done), HumanCount(self.total)));
                for shard in shards {
                    self.printer.note(shard);
                }
            }
            None => {}
        }
    }

    fn warn_once(&mut self, forecast: &Forecast) {
        if forecast.exceeds_disk() && !std::mem::replace(&mut self.warned, true) {
            self.note(&format!(
                "warning: {} are still to come and only {} are free: the crawl will stop before the disk is full",
                HumanBytes(forecast.bytes_left),
                HumanBytes(forecast.free.unwrap_or(0))
            ));
        }
    }

    /// Finished items per second over the last few.
    fn rate(&mut self, sample: &Sample) -> f64 {
        let now = Instant::now();
        while self.past.len() > 1 && now - self.past[0].0 > WINDOW {
            self.past.pop_front();
        }
        let (then, finished) = self.past.front().copied().unwrap_or((self.began, 0));
        self.past.push_back((now, sample.finished()));
        (sample.finished() - finished) as f64 / (now - then).as_secs_f64().max(0.001)
    }

    /// How fast, from where, what came of it, how much: a line each.
    fn lines(&self, sample: &Sample, rate: f64, done: u64, slots: usize) -> Vec<String> {
        let average = sample.finished() as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let left = self.total.saturating_sub(done) as f64;
        let eta = if average > 0.0 {
            HumanDuration(Duration::try_from_secs_f64(left / average).unwrap_or(Duration::MAX)).to_string()
        } else {
            "?".to_owned()
        };
        let mut outcomes: Vec<String> = Outcome::ALL
            .into_iter()
            .map(|outcome| (outcome, sample.outcomes.of(outcome)))
            .filter(|(_, count)| *count > 0)
            .map(|(outcome, count)| format!("{outcome} {}", HumanCount(count)))
            .collect();
        if sample.retries > 0 {
            outcomes.push(format!("retries {}", HumanCount(sample.retries)));
        }
        let mut lines = vec![
            format!("{rate:.0}/s (avg {average:.0}/s), {eta} left"),
            format!(
                "{} in flight of {slots}, {} connections, {} addresses",
                sample.in_flight,
                sample.open_connections,
                HumanCount(sample.addresses),
            ),
        ];
        if !outcomes.is_empty() {
            lines.push(outcomes.join(", "));
        }
        lines.push(format!(
            "in {}, out {}, stored {}",
            HumanBytes(sample.bytes_in),
            HumanBytes(sample.bytes_out),
            HumanBytes(sample.bytes_stored)
        ));
        lines
    }
}

/// One line for a service manager.
pub(super) fn status(crawl: &Crawl) -> String {
    let (before, sample) = (crawl.before(), crawl.sample());
    format!(
        "{} of {} done, {} in flight, {} failed",
        HumanCount(before.done.sum() + sample.finished()),
        HumanCount(before.total),
        sample.in_flight,
        HumanCount(sample.finished() - sample.outcomes.of(Outcome::Ok)),
    )
}

fn shard_lines(crawl: &Crawl) -> Vec<String> {
    let shards = crawl.sample_by_shard();
    let lines = shards.iter().enumerate().map(|(index, shard)| {
        format!(
            "  shard {index}: {} done, {} in flight, {} connections open",
            HumanCount(shard.finished()),
            shard.in_flight,
            shard.open_connections,
        )
    });
    lines.collect()
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} {human_pos}/{human_len} {percent}%\n{msg}");
    let bar = ProgressBar::with_draw_target(
        Some(total),
        ProgressDrawTarget::term_like(Box::new(Screen::default())),
    );
    bar.set_style(style.unwrap_or_else(|_invalid| ProgressStyle::default_bar()));
    bar
}
