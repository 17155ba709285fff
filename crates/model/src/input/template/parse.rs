//! From text to [`Template`].

use std::str::FromStr;

use v6kit_base::{Code, Hint};

use super::{Part, Template};
use crate::url::{self, Origin, UrlError};

/// Why a text is not a URL template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{` without `}`.
    #[error("the brace of `{rest}` is never closed")]
    Unclosed {
        /// From the brace on.
        rest: String,
    },
    /// `}` without `{`.
    #[error("`{text}` closes a brace that was never opened")]
    Unopened {
        /// The literal text with the brace.
        text: String,
    },
    /// A brace within a brace.
    #[error("`{{{inside}}}` holds another brace")]
    Nested {
        /// What is between the outer braces so far.
        inside: String,
    },
    /// Neither a range nor a set.
    #[error("`{{{inside}}}` is neither a range nor a set")]
    NotARange {
        /// What is between the braces.
        inside: String,
    },
    /// A range with an end missing.
    #[error("the range `{{{inside}}}` lacks an end")]
    OpenRange {
        /// What is between the braces.
        inside: String,
    },
    /// The last value is below the first.
    #[error("the range `{{{inside}}}` ends before it begins")]
    Backwards {
        /// What is between the braces.
        inside: String,
        /// The same range the right way round.
        forwards: String,
    },
    /// A step of 0, or one that is not a number.
    #[error("`{step}` is not a step")]
    Step {
        /// What was given.
        step: String,
    },
    /// A number above 2^64.
    #[error("`{number}` is too large a number")]
    Number {
        /// What was given.
        number: String,
    },
    /// More URLs than can be counted.
    #[error("`{text}` names more than 2^64 URLs")]
    TooMany {
        /// The template.
        text: String,
    },
    /// A URL that cannot be fetched.
    #[error(transparent)]
    Url(#[from] UrlError),
}

impl Hint for TemplateError {
    fn code(&self) -> Code {
        Code::BadTemplate
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unclosed { .. } | Self::Unopened { .. } => {
                "write a brace that belongs to the URL itself as %7B or %7D".to_owned()
            }
            Self::Nested { .. } => "write the alternatives out: {a1,a2,b} instead of {a{1,2},b}".to_owned(),
            Self::NotARange { .. } => {
                "write {1..100}, {001..100}, {0..100..5}, {a..z} or {red,green}".to_owned()
            }
            Self::OpenRange { .. } => "write both ends, such as {1..1000000}".to_owned(),
            Self::Backwards { forwards, .. } => {
                format!("write {{{forwards}}}; --order shuffle visits it in another order")
            }
            Self::Step { .. } => "a step is a number from 1 on, as in {0..100..5}".to_owned(),
            Self::Number { .. } | Self::TooMany { .. } => "split the work into several crawls".to_owned(),
            Self::Url(error) => return error.hint(),
        })
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut parts = pieces(text)?;
        let count = parts
            .iter()
            .try_fold(1u64, |count, part| count.checked_mul(part.count()))
            .ok_or_else(|| TemplateError::TooMany {
                text: text.to_owned(),
            })?;
        check_scheme(text)?;
        let origin = fixed_origin(&parts)?;
        encode(&mut parts);
        let template = Self {
            text: text.to_owned(),
            parts,
            count,
            origin,
        };
        template.check_origins()?;
        Ok(template)
    }
}

impl Template {
    /// The first and the last URL stand for those between them; others are checked when their turn comes.
    fn check_origins(&self) -> Result<(), UrlError> {
        for position in [0, self.count - 1] {
            let mut sample = String::new();
            self.write(position, &mut sample);
            Origin::parse(url::split(&sample)?.0)?;
        }
        Ok(())
    }
}

/// A missing scheme is told about the template rather than about one of its URLs.
fn check_scheme(text: &str) -> Result<(), UrlError> {
    let scheme_end = text.find("://").unwrap_or(usize::MAX);
    if scheme_end < text.find('{').unwrap_or(usize::MAX) {
        return Ok(());
    }
    if scheme_end == usize::MAX {
        return Err(UrlError::NoScheme { url: text.to_owned() });
    }
    Ok(())
}

/// The origin, where the first part holds all of it.
fn fixed_origin(parts: &[Part]) -> Result<Option<Origin>, UrlError> {
    let Some(Part::Literal(first)) = parts.first() else {
        return Ok(None);
    };
    let Some(authority) = first.find("://").map(|at| at + 3) else {
        return Ok(None);
    };
    let ends_inside = first[authority..].contains(['/', '?', '#']);
    if ends_inside || parts.len() == 1 {
        let (origin, _) = url::split(first)?;
        return Origin::parse(origin).map(Some);
    }
    Ok(None)
}

/// Percent-encodes the parts behind the authority and drops the fragment.
fn encode(parts: &mut [Part]) {
    let mut kept = parts.len();
    for (index, part) in parts.iter_mut().enumerate() {
        match part {
            Part::Literal(text) => {
                let fragment = text.contains('#');
                *text = url::encode(text);
                if fragment {
                    kept = index + 1;
                    break;
                }
            }
            Part::Words(words) => words.iter_mut().for_each(|word| *word = url::encode(word)),
            Part::Numbers { .. } | Part::Letters { .. } | Part::Unsent { .. } => {}
        }
    }
    // What varies in a fragment is never sent, but it still counts.
    for part in &mut parts[kept..] {
        *part = Part::Unsent { count: part.count() };
    }
}

fn pieces(text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        push_literal(&mut parts, &rest[..open])?;
        let close = rest[open..].find('}').ok_or_else(|| TemplateError::Unclosed {
            rest: rest[open..].to_owned(),
        })?;
        parts.push(brace(&rest[open + 1..open + close])?);
        rest = &rest[open + close + 1..];
    }
    push_literal(&mut parts, rest)?;
    Ok(parts)
}

fn push_literal(parts: &mut Vec<Part>, text: &str) -> Result<(), TemplateError> {
    if text.contains('}') {
        return Err(TemplateError::Unopened {
            text: text.to_owned(),
        });
    }
    if !text.is_empty() {
        parts.push(Part::Literal(text.to_owned()));
    }
    Ok(())
}

fn brace(inside: &str) -> Result<Part, TemplateError> {
    let owned = || inside.to_owned();
    if inside.contains('{') {
        return Err(TemplateError::Nested { inside: owned() });
    }
    if inside.contains(',') {
        return Ok(Part::Words(inside.split(',').map(str::to_owned).collect()));
    }
    let ends: Vec<&str> = inside.split("..").collect();
    let (first, last, step) = match ends[..] {
        [first, last] => (first, last, None),
        [first, last, step] => (first, last, Some(step)),
        _ => return Err(TemplateError::NotARange { inside: owned() }),
    };
    if first.is_empty() || last.is_empty() {
        return Err(TemplateError::OpenRange { inside: owned() });
    }
    let step = step.map_or(Ok(1), |step| {
        let value = number(step)?.filter(|&value| value != 0);
        value.ok_or_else(|| TemplateError::Step {
            step: step.to_owned(),
        })
    })?;
    let backwards = || TemplateError::Backwards {
        inside: owned(),
        forwards: std::iter::once(last)
            .chain([first])
            .chain(ends.get(2).copied())
            .collect::<Vec<_>>()
            .join(".."),
    };
    if let (&[low], &[high]) = (first.as_bytes(), last.as_bytes())
        && low.is_ascii_alphabetic()
        && high.is_ascii_alphabetic()
    {
        let span = high.checked_sub(low).ok_or_else(backwards)?;
        // A step beyond the span leaves the first letter alone.
        let step = u8::try_from(step).unwrap_or(u8::MAX);
        return Ok(Part::Letters {
            first: low,
            step,
            count: u64::from(span / step) + 1,
        });
    }
    let (Some(low), Some(high)) = (number(first)?, number(last)?) else {
        return Err(TemplateError::NotARange { inside: owned() });
    };
    let span = high.checked_sub(low).ok_or_else(backwards)?;
    let count = (span / step)
        .checked_add(1)
        .ok_or_else(|| TemplateError::TooMany { text: owned() })?;
    Ok(Part::Numbers {
        first: low,
        step,
        count,
        width: padding(first, last),
    })
}

/// The width to pad to: that of the longer end, when either is written with a leading zero.
fn padding(first: &str, last: &str) -> usize {
    let padded = |text: &str| text.len() > 1 && text.starts_with('0');
    if padded(first) || padded(last) {
        first.len().max(last.len())
    } else {
        0
    }
}

/// A decimal number, also as `1_000_000` or `1e6`; `None` when it is none.
fn number(text: &str) -> Result<Option<u64>, TemplateError> {
    let plain = text.replace('_', "");
    let (digits, zeros) = plain.split_once(['e', 'E']).unwrap_or((&plain, "0"));
    let decimal = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !decimal(digits) || !decimal(zeros) {
        return Ok(None);
    }
    let value = digits.parse::<u64>().ok().and_then(|value| {
        let power = zeros.parse().ok().and_then(|zeros| 10u64.checked_pow(zeros))?;
        value.checked_mul(power)
    });
    value.map(Some).ok_or_else(|| TemplateError::Number {
        number: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> TemplateError {
        text.parse::<Template>().unwrap_err()
    }

    #[test]
    fn each_mistake_has_its_name_and_a_hint() {
        assert!(
            matches!(error("http://h/{5..1}"), TemplateError::Backwards { forwards, .. } if forwards == "1..5")
        );
        assert!(matches!(error("http://h/{1..}"), TemplateError::OpenRange { .. }));
        assert!(matches!(error("http://h/{..5}"), TemplateError::OpenRange { .. }));
        assert!(matches!(error("http://h/{1..5"), TemplateError::Unclosed { .. }));
        assert!(matches!(error("http://h/1}"), TemplateError::Unopened { .. }));
        assert!(matches!(error("http://h/{a{1,2}}"), TemplateError::Nested { .. }));
        assert!(matches!(error("http://h/{}"), TemplateError::NotARange { .. }));
        assert!(matches!(error("http://h/{abc}"), TemplateError::NotARange { .. }));
        assert!(matches!(
            error("http://h/{1..x}"),
            TemplateError::NotARange { .. }
        ));
        assert!(matches!(
            error("http://h/{1..2..3..4}"),
            TemplateError::NotARange { .. }
        ));
        assert!(matches!(error("http://h/{1..9..0}"), TemplateError::Step { .. }));
        assert!(matches!(
            error("http://h/{1..1e40}"),
            TemplateError::Number { .. }
        ));
        assert!(matches!(
            error("http://h/{1..1e12}{1..1e12}"),
            TemplateError::TooMany { .. }
        ));
        assert!(matches!(
            error("http://h/{0..18446744073709551615}"),
            TemplateError::TooMany { .. }
        ));
        assert!(matches!(
            error("h/{1..5}"),
            TemplateError::Url(UrlError::NoScheme { .. })
        ));
        assert!(matches!(
            error("{ftp,http}://h/"),
            TemplateError::Url(UrlError::Scheme { .. })
        ));
        assert!(matches!(
            error("http://10.0.0.{1..9}/"),
            TemplateError::Url(UrlError::Ipv4 { .. })
        ));
        assert!(error("http://h/{1..}").hint().is_some());
    }
}
