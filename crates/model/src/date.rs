//! Dates in HTTP fields, in the forms in which servers write them.

use std::time::SystemTime;

use jiff::civil;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

/// The moment that `text` names: as RFC 5322 and RFC 9110 section 5.6.7 have it, as RFC 3339, or in any form that
/// RFC 6265 section 5.1.1 reads. A date without a time of day is its first moment; without a zone it is in UTC.
pub fn lenient_date(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    if let Ok(date) = rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(text)
    {
        return Some(date.into());
    }
    if let Ok(date) = text.parse::<jiff::Timestamp>() {
        return Some(date.into());
    }
    let date = cookie_date(text)?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().into())
}

/// RFC 6265 section 5.1.1, in which the time of day may be left out here.
fn cookie_date(text: &str) -> Option<civil::DateTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let is_delimiter = |c: char| matches!(c, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~');
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = time_of_day(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2, 4)
        {
            year = Some(match found {
                70..=99 => found + 1900,
                0..=69 => found + 2000,
                _ => found,
            });
        }
    }
    let (hour, minute, second) = time.unwrap_or((0, 0, 0));
    let year = year.filter(|year| *year >= 1601)?;
    let date = civil::Date::new(year, month?, i8::try_from(day?).ok()?).ok()?;
    let time = civil::Time::new(hour, minute, second, 0).ok()?;
    Some(date.to_datetime(time))
}

/// `token` begins with so many digits, behind which no further digit stands.
fn number(token: &str, least: usize, most: usize) -> Option<i16> {
    let digits = token.find(|c: char| !c.is_ascii_digit()).unwrap_or(token.len());
    if (least..=most).contains(&digits) {
        token[..digits].parse().ok()
    } else {
        None
    }
}

fn time_of_day(token: &str) -> Option<(i8, i8, i8)> {
    let mut fields = token.splitn(3, ':').map(|field| number(field, 1, 2));
    let mut next = || i8::try_from(fields.next()??).ok();
    Some((next()?, next()?, next()?))
}

fn month_of(token: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let name = token.get(..3)?;
    let at = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month))?;
    i8::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn seconds(text: &str) -> Option<u64> {
        let date = lenient_date(text)?;
        date.duration_since(SystemTime::UNIX_EPOCH)
            .ok()
            .map(|since| since.as_secs())
    }

    #[test]
    fn dates_are_read_in_the_forms_that_servers_write() {
        const MOMENT: u64 = 784_111_777;
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 09:49:37 +0100",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "6 november 1994 8:49:37",
            "1994-11-06T08:49:37Z",
            "1994-11-06T10:49:37+02:00",
        ] {
            assert_eq!(seconds(text), Some(MOMENT), "{text}");
        }
        assert_eq!(
            seconds("Sun, 06 Nov 1994"),
            Some(MOMENT - (8 * 60 + 49) * 60 - 37)
        );
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "soon",
            "Sun, 31 Feb 2027 08:00:00 GMT",
            "06 Nov",
            "06 Nov 1994 25:00:00",
            "120",
        ] {
            assert_eq!(lenient_date(text), None, "{text}");
        }
        assert_eq!(
            lenient_date("Thu, 01 Jan 1970 00:00:10 GMT"),
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(10))
        );
    }
}
