//! What of the crates' log goes to standard error, and how a line of it looks.
//!
//! `-q`, `-v` and `-vv` choose a level for v6kit's own crates; `V6KIT_LOG` chooses one for each of them:
//! `debug`, `crawl=debug,net=info`. Other people's crates speak from warnings on, unless they are named.

use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{self, Format, Full, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::failure::{Exit, Failure};
use crate::shared_args::OutputArgs;
use crate::stderr::{self, LogLine, Severity};

/// The variable that says what is logged.
const VARIABLE: &str = "V6KIT_LOG";

/// Our crates, by the names that `V6KIT_LOG` knows them under.
const OURS: [(&str, &str); 16] = [
    ("base", "v6kit_base"),
    ("crawl", "v6kit_crawl"),
    ("echo", "v6kit_echo"),
    ("exec", "v6kit_exec"),
    ("host", "v6kit_host"),
    ("http1", "v6kit_http1"),
    ("lab", "v6kit_lab"),
    ("metrics", "v6kit_metrics"),
    ("model", "v6kit_model"),
    ("ndp", "v6kit_ndp"),
    ("net", "v6kit_net"),
    ("proxy", "v6kit_proxy"),
    ("router", "v6kit_router"),
    ("store", "v6kit_store"),
    ("v6kit", "v6kit"),
    ("verify", "v6kit_verify"),
];

/// Crates of others that have something to say.
const OTHERS: [&str; 4] = ["h2", "hickory_net", "hickory_resolver", "hyper"];

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// What `V6KIT_LOG` says.
#[allow(
    clippy::disallowed_methods,
    reason = "an option would be a key of job files, and remembered with the job"
)]
fn said() -> String {
    std::env::var_os(VARIABLE)
        .map(|said| said.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Sends what the crates log to standard error.
///
/// # Errors
/// When `V6KIT_LOG` holds a word that is not understood: it would be silent where somebody expects to read.
pub(crate) fn to_standard_error(args: &OutputArgs) -> Result<(), Failure> {
    let level = match (args.quiet, args.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    let targets = targets(level, &said())?;
    let is_journal = stderr::is_journal();
    // One filter for all of it: a call site that is off costs a load and a branch.
    let subscriber = tracing_subscriber::registry().with(targets).with(
        tracing_subscriber::fmt::layer()
            .with_writer(|| LogLine)
            .with_ansi(console::colors_enabled_stderr() && !is_journal)
            .event_format(if is_journal {
                Line::Journal(format::format().without_time())
            } else {
                Line::Timed(format::format().with_timer(Clock))
            }),
    );
    // Nobody else sets one.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// The levels of all crates: `level` for ours, and what `said` says.
fn targets(level: LevelFilter, said: &str) -> Result<Targets, Failure> {
    let mut level = level;
    let mut named = Vec::new();
    for word in said.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            None => level = level_named(word).ok_or_else(|| unknown(word, &LEVELS.map(|(name, _)| name)))?,
            Some((part, wanted)) => {
                let target = target_named(part).ok_or_else(|| {
                    let known: Vec<&str> = OURS.iter().map(|(name, _)| *name).chain(OTHERS).collect();
                    unknown(part, &known)
                })?;
                let wanted =
                    level_named(wanted).ok_or_else(|| unknown(wanted, &LEVELS.map(|(name, _)| name)))?;
                named.push((target, wanted));
            }
        }
    }
    let ours = OURS.map(|(_, target)| (target, level));
    Ok(Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(ours)
        .with_targets(named))
}

fn level_named(name: &str) -> Option<LevelFilter> {
    let (_, level) = LEVELS.iter().find(|(known, _)| *known == name)?;
    Some(*level)
}

fn target_named(name: &str) -> Option<&'static str> {
    let ours = OURS.iter().find(|(known, _)| *known == name);
    ours.map(|(_, target)| *target)
        .or_else(|| OTHERS.into_iter().find(|known| *known == name))
}

fn unknown(word: &str, known: &[&str]) -> Failure {
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(word, name), name))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .filter(|(alike, _)| *alike > 0.7);
    let hint = match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("write {VARIABLE}=debug or {VARIABLE}=crawl=debug,net=info"),
    };
    Failure::new(Exit::Usage, format!("{VARIABLE} is not understood"))
        .why(format!("`{word}` is none of {}", known.join(", ")))
        .hint(hint)
}

/// The time in UTC, to the millisecond.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.3}", jiff::Timestamp::now())
    }
}

/// A line for people, or for the journal, which knows the time and wants a severity.
enum Line {
    Timed(Format<Full, Clock>),
    Journal(Format<Full, ()>),
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self {
            Self::Timed(format) => format.format_event(context, writer, event),
            Self::Journal(format) => {
                write!(writer, "<{}>", severity(*event.metadata().level()) as u8)?;
                format.format_event(context, writer, event)
            }
        }
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warning,
        Level::INFO => Severity::Info,
        Level::DEBUG | Level::TRACE => Severity::Debug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_for_our_crates_and_named_ones_have_their_own() {
        let targets = targets(LevelFilter::WARN, "info, crawl=debug,h2=trace").unwrap();
        for (target, level, is_shown) in [
            ("v6kit_crawl::engine::slot", Level::DEBUG, true),
            ("v6kit_crawl::engine::slot", Level::TRACE, false),
            ("v6kit_net", Level::INFO, true),
            ("v6kit_net", Level::DEBUG, false),
            ("h2::proto", Level::TRACE, true),
            ("hyper", Level::INFO, false),
            ("hyper", Level::WARN, true),
        ] {
            assert_eq!(targets.would_enable(target, &level), is_shown, "{target} {level}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_off_for_all_crates_at_once() {
        // tracing compares the level of an event with this before anything else.
        use tracing_subscriber::layer::Layer;
        let most = |level, said| {
            let targets = targets(level, said).unwrap();
            Layer::<tracing_subscriber::Registry>::max_level_hint(&targets)
        };
        assert_eq!(most(LevelFilter::WARN, ""), Some(LevelFilter::WARN));
        assert_eq!(most(LevelFilter::INFO, ""), Some(LevelFilter::INFO), "-v");
        assert_eq!(most(LevelFilter::DEBUG, ""), Some(LevelFilter::DEBUG), "-vv");
        assert_eq!(most(LevelFilter::WARN, "crawl=debug"), Some(LevelFilter::DEBUG));
        assert_eq!(most(LevelFilter::ERROR, ""), Some(LevelFilter::ERROR), "-q");
    }

    #[test]
    fn words_that_are_not_understood_are_refused_with_the_nearest() {
        for (said, why, hint) in [
            ("warning", "`warning`", "did you mean `warn`?"),
            ("crwal=debug", "`crwal`", "did you mean `crawl`?"),
            ("crawl=all", "`all`", "write V6KIT_LOG="),
            ("crawl=", "``", "write V6KIT_LOG="),
            ("crawl", "`crawl`", "write V6KIT_LOG="),
        ] {
            let failure = targets(LevelFilter::WARN, said).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.why.as_deref().unwrap().starts_with(why), "{failure:?}");
            assert!(failure.hint.as_deref().unwrap().starts_with(hint), "{failure:?}");
        }
        assert!(targets(LevelFilter::WARN, "").is_ok());
    }

    #[test]
    fn every_crate_of_ours_has_a_name() {
        let crates = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
        let mut found: Vec<String> = crates
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().join("Cargo.toml").exists())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(OURS.map(|(name, _)| name).as_slice(), found);
    }
}
