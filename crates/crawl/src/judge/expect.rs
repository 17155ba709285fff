//! What an answer must be like to count as data.

use std::fmt;
use std::ops::RangeInclusive;

use http::StatusCode;
use http::header::HeaderName;
use regex::bytes::{Regex, RegexSet};
use serde_json::Value;
use v6kit_model::{Answer, ErrorKind, Fault, without_mark};
use v6kit_net::{Code, Hint};

/// One demand on an answer.
#[derive(Debug, Clone)]
pub enum Expectation {
    /// `status=200,404`: these statuses count as data, and no other 2xx does.
    Status(Vec<StatusCode>),
    /// `json`: the body is JSON.
    Json,
    /// `key=data.items.0.id`: the body is JSON and holds this.
    Key(Vec<String>),
    /// `size=10..1M`: the body is as long as this, in bytes.
    Size(RangeInclusive<u64>),
    /// `header=NAME` or `header=NAME:PATTERN`: the header is there, and matches.
    Header(HeaderName, Option<Regex>),
}

/// Why a text is no [`Expectation`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpectationError {
    /// None of the forms.
    #[error("`{text}` is nothing that can be expected")]
    Form {
        /// What was given.
        text: String,
    },
    /// Not a number from 100 to 999.
    #[error("`{text}` is not a status")]
    Status {
        /// What was given.
        text: String,
    },
    /// Not a range of sizes.
    #[error("`{text}` is not a range of sizes")]
    Size {
        /// What was given.
        text: String,
    },
    /// Not a header, or not a pattern.
    #[error("`{text}` is not a header with a pattern: {why}")]
    Header {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not a pattern.
    #[error("`{text}` is not a regular expression: {why}")]
    Pattern {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Hint for ExpectationError {
    fn code(&self) -> Code {
        match self {
            Self::Form { .. }
            | Self::Status { .. }
            | Self::Size { .. }
            | Self::Header { .. }
            | Self::Pattern { .. } => Code::BadExpectation,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Form { .. } => {
                "write status=200,404, json, key=data.id, size=10..1000000 or header=NAME:PATTERN".to_owned()
            }
            Self::Status { .. } => "write three digits, such as status=200,404".to_owned(),
            Self::Size { .. } => "write size=MIN..MAX in bytes; either may be left out".to_owned(),
            Self::Header { .. } => "write header=content-type:json".to_owned(),
            Self::Pattern { .. } => "quote what is meant literally with a backslash".to_owned(),
        })
    }
}

impl std::str::FromStr for Expectation {
    type Err = ExpectationError;

    fn from_str(text: &str) -> Result<Self, ExpectationError> {
        let form = || ExpectationError::Form {
            text: text.to_owned(),
        };
        if text == "json" {
            return Ok(Self::Json);
        }
        let (what, value) = text
            .split_once('=')
            .filter(|(_, value)| !value.is_empty())
            .ok_or_else(form)?;
        match what {
            "status" => value
                .split(',')
                .map(status)
                .collect::<Result<_, _>>()
                .map(Self::Status),
            "key" => Ok(Self::Key(value.split('.').map(str::to_owned).collect())),
            "size" => size(value).map(Self::Size),
            "header" => header(value),
            _ => Err(form()),
        }
    }
}

fn status(text: &str) -> Result<StatusCode, ExpectationError> {
    let status = text.trim().parse().ok();
    status.ok_or_else(|| ExpectationError::Status {
        text: text.to_owned(),
    })
}

fn size(text: &str) -> Result<RangeInclusive<u64>, ExpectationError> {
    let bad = || ExpectationError::Size {
        text: text.to_owned(),
    };
    let (least, most) = text.split_once("..").ok_or_else(bad)?;
    let bytes = |text: &str, vacant| match text {
        "" => Ok(vacant),
        text => text
            .parse()
            .map(|bytesize::ByteSize(bytes)| bytes)
            .map_err(|_invalid: String| bad()),
    };
    let range = bytes(least, 0)?..=bytes(most, u64::MAX)?;
    if range.is_empty() { Err(bad()) } else { Ok(range) }
}

fn header(text: &str) -> Result<Expectation, ExpectationError> {
    let bad = |why: &dyn fmt::Display| ExpectationError::Header {
        text: text.to_owned(),
        why: last_line(&why.to_string()),
    };
    let (name, pattern) = match text.split_once(':') {
        Some((name, pattern)) => (name, Some(pattern)),
        None => (text, None),
    };
    let name = name.parse::<HeaderName>().map_err(|error| bad(&error))?;
    let pattern = pattern
        .map(|pattern| Regex::new(pattern).map_err(|error| bad(&error)))
        .transpose()?;
    Ok(Expectation::Header(name, pattern))
}

/// The line of a message that says what is wrong; regex draws the place above it.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().to_owned()
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(statuses) => {
                let statuses: Vec<&str> = statuses.iter().map(StatusCode::as_str).collect();
                write!(f, "status={}", statuses.join(","))
            }
            Self::Json => f.write_str("json"),
            Self::Key(path) => write!(f, "key={}", path.join(".")),
            Self::Size(range) => write!(f, "size={}..{}", range.start(), range.end()),
            Self::Header(name, None) => write!(f, "header={name}"),
            Self::Header(name, Some(pattern)) => write!(f, "header={name}:{pattern}"),
        }
    }
}

/// All demands on an answer.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    list: Vec<Expectation>,
    patterns: Option<RegexSet>,
}

impl Expectations {
    /// Answers must meet all of `list`, and hold none of `block_patterns`.
    ///
    /// # Errors
    /// [`ExpectationError::Pattern`].
    pub fn new(list: Vec<Expectation>, block_patterns: &[String]) -> Result<Self, ExpectationError> {
        let compiled = RegexSet::new(block_patterns).map_err(|error| ExpectationError::Pattern {
            text: block_patterns.join(" "),
            why: last_line(&error.to_string()),
        })?;
        Ok(Self {
            list,
            patterns: (!compiled.is_empty()).then_some(compiled),
        })
    }

    /// Whether `status` counts as data; `None` leaves it to the general rules.
    pub(crate) fn judge_status(&self, status: StatusCode) -> Option<bool> {
        let mut listed = self.list.iter().filter_map(|expectation| match expectation {
            Expectation::Status(statuses) => Some(statuses.contains(&status)),
            _ => None,
        });
        let first = listed.next()?;
        if first || listed.any(|listed| listed) {
            return Some(true);
        }
        // Failures keep their own kinds.
        status.is_success().then_some(false)
    }

    /// Whether the body of an answer is the data.
    ///
    /// # Errors
    /// [`ErrorKind::BlockPattern`] or [`ErrorKind::Unexpected`].
    pub(crate) fn judge(&self, answer: &Answer) -> Result<(), Fault> {
        if let Some(pattern) = self.patterns.as_ref().and_then(|set| {
            let first = set.matches(&answer.body).iter().next()?;
            set.patterns().get(first)
        }) {
            return Err(Fault::new(
                ErrorKind::BlockPattern,
                format!("the body matches `{pattern}`"),
            ));
        }
        let mut document = None;
        self.list
            .iter()
            .try_for_each(|expectation| meets(expectation, answer, &mut document))
    }
}

impl fmt::Display for Expectations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<String> = self.list.iter().map(ToString::to_string).collect();
        f.write_str(&list.join(" "))?;
        for pattern in self.patterns.iter().flat_map(RegexSet::patterns) {
            write!(f, " not /{pattern}/")?;
        }
        Ok(())
    }
}

fn meets(expectation: &Expectation, answer: &Answer, document: &mut Option<Value>) -> Result<(), Fault> {
    let unexpected = |message: String| Err(Fault::new(ErrorKind::Unexpected, message));
    let body = &answer.body;
    let json = without_mark(body);
    match expectation {
        Expectation::Status(_) => Ok(()),
        // What is recorded is looked at for the same.
        Expectation::Json if answer.is_portable() => Ok(()),
        Expectation::Json => match serde_json::from_slice::<&serde_json::value::RawValue>(json) {
            Ok(_) => Ok(()),
            Err(error) => unexpected(format!("the body is not JSON: {error}")),
        },
        Expectation::Key(path) => {
            let document = match document {
                Some(document) => document,
                vacant => match serde_json::from_slice(json) {
                    Ok(parsed) => vacant.insert(parsed),
                    Err(error) => return unexpected(format!("the body is not JSON: {error}")),
                },
            };
            if has_key(document, path) {
                Ok(())
            } else {
                unexpected(format!("`{}` is missing", path.join(".")))
            }
        }
        Expectation::Size(range) if range.contains(&(body.len() as u64)) => Ok(()),
        Expectation::Size(range) => unexpected(format!(
            "the body has {} bytes, not {} to {}",
            body.len(),
            range.start(),
            range.end()
        )),
        Expectation::Header(name, pattern) => {
            let mut values = answer.headers.map().get_all(name).iter();
            let found = match pattern {
                None => values.next().is_some(),
                Some(pattern) => values.any(|value| pattern.is_match(value.as_bytes())),
            };
            if found {
                Ok(())
            } else {
                unexpected(format!("{expectation} is not met"))
            }
        }
    }
}

/// Whether a document holds `path`: names of objects, numbers of arrays.
fn has_key(document: &Value, path: &[String]) -> bool {
    let mut at = document;
    for name in path {
        let next = match at {
            Value::Array(list) => name.parse().ok().and_then(|index: usize| list.get(index)),
            other => other.get(name),
        };
        let Some(next) = next else { return false };
        at = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn answer(body: &'static [u8]) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        Answer {
            status: StatusCode::OK,
            headers: headers.into(),
            body: Bytes::from_static(body),
            ..Answer::default()
        }
    }

    fn judged(expected: &str, body: &'static [u8]) -> Result<(), ErrorKind> {
        let list = expected.split(' ').map(|text| text.parse().unwrap()).collect();
        Expectations::new(list, &[])
            .unwrap()
            .judge(&answer(body))
            .map_err(|fault| fault.kind)
    }

    #[test]
    fn each_expectation_is_met_or_not() {
        let unexpected = Err(ErrorKind::Unexpected);
        assert_eq!(judged("json", b"{\"a\":1}"), Ok(()));
        assert_eq!(judged("json", b"<p>"), unexpected);
        assert_eq!(
            judged("key=data.1.id json", b"{\"data\":[0,{\"id\":null}]}"),
            Ok(())
        );
        assert_eq!(judged("key=data.2.id", b"{\"data\":[0,{\"id\":1}]}"), unexpected);
        assert_eq!(judged("key=a", b"<p>"), unexpected);
        assert_eq!(judged("size=2..4", b"abc"), Ok(()));
        assert_eq!(judged("size=4..", b"abc"), unexpected);
        assert_eq!(judged("size=..1K", b"abc"), Ok(()));
        assert_eq!(judged("header=content-type", b""), Ok(()));
        assert_eq!(judged("header=Content-Type:json$", b""), Ok(()));
        assert_eq!(judged("header=content-type:html", b""), unexpected);
        assert_eq!(judged("header=etag", b""), unexpected);
    }

    #[test]
    fn a_list_of_statuses_decides_about_success_and_leaves_other_failures_alone() {
        let expected = Expectations::new(vec!["status=200,404".parse().unwrap()], &[]).unwrap();
        let judged = |status| expected.judge_status(StatusCode::from_u16(status).unwrap());
        assert_eq!(
            (judged(200), judged(404), judged(204), judged(429)),
            (Some(true), Some(true), Some(false), None)
        );
        assert_eq!(Expectations::default().judge_status(StatusCode::OK), None);
    }

    #[test]
    fn a_pattern_blocks_whatever_the_status_says() {
        let expected =
            Expectations::new(Vec::new(), &["(?i)slow down".to_owned(), "quota".to_owned()]).unwrap();
        assert_eq!(
            expected.judge(&answer(b"Please SLOW DOWN.")).unwrap_err().kind,
            ErrorKind::BlockPattern
        );
        assert_eq!(expected.judge(&answer(b"{}")), Ok(()));
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, hint) in [
            ("jsn", "write status=200,404, json, "),
            ("status=", "write status=200,404, json, "),
            ("status=20", "such as status=200,404"),
            ("status=abc", "such as status=200,404"),
            ("size=5", "write size=MIN..MAX"),
            ("size=9..2", "write size=MIN..MAX"),
            ("header=a b", "write header="),
            ("header=a:(", "write header="),
            ("key=", "key=data.id"),
        ] {
            let error = text.parse::<Expectation>().unwrap_err();
            assert!(error.hint().unwrap().contains(hint), "{text}: {error}");
        }
        let unclosed = "header=a:(".parse::<Expectation>().unwrap_err().to_string();
        assert!(unclosed.ends_with("error: unclosed group"), "{unclosed}");
        let pattern = Expectations::new(Vec::new(), &["(".to_owned()]).unwrap_err();
        assert!(pattern.to_string().contains("unclosed group"), "{pattern}");
        assert!(pattern.hint().unwrap().contains("backslash"));
    }

    #[test]
    fn what_is_expected_is_told_as_it_is_written() {
        let texts = [
            "status=200,404",
            "json",
            "key=data.1.id",
            "size=2..4",
            "header=etag",
            "header=etag:^W",
        ];
        let list: Vec<Expectation> = texts.iter().map(|text| text.parse().unwrap()).collect();
        for (expectation, text) in list.iter().zip(texts) {
            assert_eq!(expectation.to_string(), text);
        }
        let all = Expectations::new(list, &["quota".to_owned(), "busy".to_owned()]).unwrap();
        assert_eq!(
            all.to_string(),
            format!("{} not /quota/ not /busy/", texts.join(" "))
        );
    }
}
