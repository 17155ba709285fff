//! `--per`: when connections get another source address.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::shared_args::BadValue;

/// What a value of `--per` means to a crawl and to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Per {
    Connection,
    Host,
    Requests(NonZeroU64),
    Time(Duration),
}

pub(crate) fn per(text: &str) -> Result<Per, BadValue> {
    const HINT: &str = "write connection, host, a number of requests, or a time such as 30s or 10m";
    match text {
        "connection" => Ok(Per::Connection),
        "host" => Ok(Per::Host),
        "process" => Err(BadValue::new(
            "`process` is of v6kit exec alone, which runs other programs: this is one process",
            "for one address for each destination write host",
        )),
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => number
            .parse()
            .map(Per::Requests)
            .map_err(|_zero_or_too_large| BadValue::new("it is not a number of requests", HINT)),
        time => crate::shared_args::duration(time)
            .map(Per::Time)
            .map_err(|_no_time| BadValue::new("it is neither a word, nor a number, nor a time", HINT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_changes_by_connection_host_number_or_time() {
        assert_eq!(per("connection").unwrap(), Per::Connection);
        assert_eq!(per("host").unwrap(), Per::Host);
        assert_eq!(per("5").unwrap(), Per::Requests(NonZeroU64::new(5).unwrap()));
        assert_eq!(per("90s").unwrap(), Per::Time(Duration::from_secs(90)));
        for wrong in [
            "",
            "0",
            "-1",
            "hosts",
            "0s",
            "5x",
            "99999999999999999999",
            "process",
        ] {
            assert!(per(wrong).is_err(), "{wrong}");
        }
    }
}
