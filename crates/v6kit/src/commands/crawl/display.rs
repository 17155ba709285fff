//! What somebody sees while a crawl is running.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use v6kit_crawl::{Crawl, Forecast, Outcome, Sample};

use crate::printer::Printer;

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
        let mut line = self.line(&sample, rate, done, crawl.concurrency());
        if let Some(forecast) = crawl.forecast() {
            // Writing to a String does not fail.
            let _ = write!(
                line,
                ", {} in the end ({:.0} B per item)",
                HumanBytes(forecast.total_bytes),
                forecast.bytes_per_item
            );
            self.warn_once(&forecast);
        }
        match &self.bar {
            Some(bar) => {
                bar.set_position(done.min(self.total));
                bar.set_message(line);
            }
            None if !self.printer.is_quiet() => {
                self.printer
                    .note(format!("{}/{} {line}", HumanCount(done), HumanCount(self.total)));
                if self.printer.is_verbose() {
                    self.show_shards(crawl);
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

    fn show_shards(&self, crawl: &Crawl) {
        for (index, shard) in crawl.sample_by_shard().iter().enumerate() {
            self.printer.note(format!(
                "  shard {index}: {} done, {} in flight, {} connections open",
                HumanCount(shard.finished()),
                shard.in_flight,
                shard.open_connections,
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

    fn line(&self, sample: &Sample, rate: f64, done: u64, slots: usize) -> String {
        let average = sample.finished() as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let left = self.total.saturating_sub(done) as f64;
        let eta = if average > 0.0 {
            HumanDuration(Duration::try_from_secs_f64(left / average).unwrap_or(Duration::MAX)).to_string()
        } else {
            "?".to_owned()
        };
        let mut line = format!(
            "{rate:.0}/s (avg {average:.0}/s), {eta} left; {} in flight of {slots}, {} connections, {} addresses;",
            sample.in_flight,
            sample.open_connections,
            HumanCount(sample.addresses),
        );
        for outcome in Outcome::ALL {
            let count = sample.outcomes.of(outcome);
            if count > 0 {
                // Writing to a String does not fail.
                let _ = write!(line, " {outcome} {}", HumanCount(count));
            }
        }
        if sample.retries > 0 {
            let _ = write!(line, " retries {}", HumanCount(sample.retries));
        }
        let _ = write!(
            line,
            "; in {}, out {}, stored {}",
            HumanBytes(sample.bytes_in),
            HumanBytes(sample.bytes_out),
            HumanBytes(sample.bytes_stored)
        );
        line
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

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} {human_pos}/{human_len} {percent}%\n{wide_msg}");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    bar.set_style(style.unwrap_or_else(|_invalid| ProgressStyle::default_bar()));
    bar
}
