//! Values of the arguments of `v6kit crawl`.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::TypedValueParser;
use clap::{Arg, Command};
use http::{HeaderValue, Method};
use v6kit_crawl::{Expectation, Expectations, Rate};
use v6kit_model::input::{Field, RequestSpec, Template};
use v6kit_net::Code;
use v6kit_store::{BUILD_WITH_ALL, Content, FieldPath, Format, KeepFree};

use crate::shared_args::BadValue;

/// Parses the path of a job directory, of any bytes.
#[derive(Debug, Clone)]
pub(super) struct Directory;

impl TypedValueParser for Directory {
    type Value = PathBuf;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<PathBuf, clap::Error> {
        // Elsewhere it is standard output.
        let parser = |text: &str| match text {
            "-" => Err(BadValue::new(
                "records are kept in a directory, from which a crawl goes on",
                "write -o DIR, then crawl cat DIR for standard output; ./- is a directory of that name",
            )),
            text => Ok(PathBuf::from(text)),
        };
        match value.to_str() {
            Some(_) => TypedValueParser::parse_ref(&parser, command, arg, value),
            None => Ok(PathBuf::from(value)),
        }
    }
}

/// A value of `--concurrency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concurrency {
    Auto,
    Fixed(usize),
}

/// What a positional argument says.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A URL or a template of URLs.
    Template(Template),
    /// A URL into which lines are put.
    Substituted(String),
    /// Lines come from standard input.
    StandardInput,
}

/// Parses a URL, a template, a URL with a place for lines, or `-`.
pub(super) fn url(text: &str) -> Result<Target, BadValue> {
    match text {
        "-" => Ok(Target::StandardInput),
        text if text.contains(v6kit_model::input::PLACEHOLDER) => Ok(Target::Substituted(text.to_owned())),
        text => text
            .parse()
            .map(Target::Template)
            .map_err(|error: v6kit_model::input::TemplateError| BadValue::from(&error)),
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
    let format = Format::ALL
        .into_iter()
        .find(|format| format.as_str() == text)
        .ok_or_else(|| BadValue::new("it is not a format", "use ndjson, warc or parquet"))?;
    if !format.is_built_in() {
        return Err(BadValue::new(
            format!("this build of v6kit lacks the feature `{format}`"),
            format!("{BUILD_WITH_ALL}; or use --format ndjson"),
        )
        .code(Code::NotBuiltIn));
    }
    Ok(format)
}

/// Parses `none`, `meta`, `body` or `body,headers`.
pub(super) fn content(text: &str) -> Result<Content, BadValue> {
    match text {
        "none" => Ok(Content::Nothing),
        "meta" => Ok(Content::Meta),
        "body" => Ok(Content::Body),
        "body,headers" | "headers,body" => Ok(Content::BodyAndHeaders),
        _ => Err(BadValue::new(
            "it is not what can be kept of an answer",
            "use none, meta, body or body,headers",
        )),
    }
}

/// Parses `a.b.c`.
pub(super) fn field(text: &str) -> Result<FieldPath, BadValue> {
    text.parse()
        .map_err(|error: v6kit_store::NotAPath| BadValue::from(&error))
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
pub(super) fn header(text: &str) -> Result<Field, BadValue> {
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
