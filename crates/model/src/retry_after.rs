//! How long a site asks to be left alone (RFC 9110 section 10.2.3).

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::date::lenient_date;

/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What a wish that cannot be read asks for: some pause is meant.
const UNREADABLE: Duration = Duration::from_secs(10);

/// The longest plausible wait that the Retry-After fields of an answer ask for, as received at `now`. A date is
/// compared with the answer's own Date, so that the clocks of site and host need not agree. A field that cannot be
/// read is a wish all the same.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let date = headers
        .get(DATE)
        .and_then(|value| lenient_date(value.to_str().ok()?));
    let wishes = headers.get_all(RETRY_AFTER).iter();
    let waits: Vec<_> = wishes
        .map(|value| wait(value.to_str().unwrap_or_default().trim(), date.unwrap_or(now)))
        .collect();
    if waits.is_empty() {
        return None;
    }
    let readable = waits.iter().flatten().max().copied();
    Some(readable.unwrap_or(UNREADABLE).min(LONGEST))
}

fn wait(text: &str, sent: SystemTime) -> Option<Duration> {
    let joined = text.split(',').map(|part| delay(part.trim()));
    if let Some(delays) = joined.collect::<Option<Vec<_>>>() {
        return delays.into_iter().max();
    }
    let date = lenient_date(text)?;
    Some(date.duration_since(sent).unwrap_or_default())
}

/// A number of seconds, or of another unit that it names, as a whole number of seconds.
fn delay(text: &str) -> Option<Duration> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim());
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "ms" | "msec" | "millisecond" | "milliseconds" => 0.001,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        _ => return None,
    };
    let seconds: f64 = number.parse().ok()?;
    Some(Duration::from_secs_f64(
        (seconds * factor).min(LONGEST.as_secs_f64()).ceil(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(784_111_777);

    fn asked(fields: &[(&'static str, &str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        retry_after(&headers, SystemTime::UNIX_EPOCH + NOW).map(|wait| wait.as_secs())
    }

    #[test]
    fn numbers_are_read_with_fractions_and_units() {
        for (text, seconds) in [
            ("3", 3),
            ("0", 0),
            ("3.0", 3),
            ("2.5", 3),
            ("3s", 3),
            ("3 seconds", 3),
            ("1500ms", 2),
            ("2m", 120),
            ("1 hour", 3600),
            ("99999999999999999999", 86_400),
            ("1, 30", 30),
            (" 7 ", 7),
        ] {
            assert_eq!(asked(&[("retry-after", text)]), Some(seconds), "{text}");
        }
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn dates_are_compared_with_the_date_of_the_answer() {
        let retry = ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT");
        assert_eq!(asked(&[retry]), Some(60));
        assert_eq!(
            asked(&[retry, ("date", "Sun, 06 Nov 1994 08:50:30 GMT")]),
            Some(7)
        );
        assert_eq!(
            asked(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")]),
            Some(0)
        );
        assert_eq!(asked(&[("retry-after", "Mon, 07 Nov 1994")]), Some(54_623));
    }

    #[test]
    fn the_longest_of_several_counts_and_an_unreadable_wish_is_one() {
        assert_eq!(asked(&[("retry-after", "1"), ("retry-after", "3")]), Some(3));
        assert_eq!(asked(&[("retry-after", "soon"), ("retry-after", "2")]), Some(2));
        for text in ["soon", "-5", "", "1e3", "."] {
            assert_eq!(asked(&[("retry-after", text)]), Some(10), "{text}");
        }
    }
}
