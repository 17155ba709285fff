//! The values of the proxy's arguments.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use v6kit_net::Secret;
use v6kit_proxy::ByteBudget;

use crate::command_line::NOT_STORED;
use crate::shared_args::BadValue;

/// A value of `--listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListenAddress {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(PathBuf),
}

pub(super) fn listen(text: &str) -> Result<ListenAddress, BadValue> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err(BadValue::new("the path is missing", "write unix:/run/v6kit.sock")),
            path => Ok(ListenAddress::Unix(path.into())),
        };
    }
    match text.strip_prefix("tls://") {
        Some(address) => socket_address(address).map(ListenAddress::Tls),
        None => socket_address(text).map(ListenAddress::Tcp),
    }
}

fn socket_address(text: &str) -> Result<SocketAddr, BadValue> {
    let hint = "write IP:PORT, such as 127.0.0.1:1234 or [::]:1234, tls://IP:PORT, or unix:PATH";
    text.parse()
        .map_err(|wrong: std::net::AddrParseError| match text.parse::<IpAddr>() {
            Ok(ip) => BadValue::new(
                "the port is missing",
                format!("add it, such as {}", SocketAddr::new(ip, 1234)),
            ),
            Err(_) => match text.trim_start_matches(':').parse::<u16>() {
                Ok(port) => BadValue::new(
                    "the address is missing",
                    format!("write 127.0.0.1:{port} for this machine alone, or [::]:{port} for everybody who reaches it"),
                ),
                Err(_) => BadValue::new(wrong.to_string(), hint),
            },
        })
}

/// A value of `--auth`.
#[derive(Debug, Clone)]
pub(super) struct UserPassword {
    pub(super) user: String,
    pub(super) password: Secret,
}

pub(super) fn user_password(text: &str) -> Result<UserPassword, BadValue> {
    let hint = "write USER:PASS, both not empty";
    match text.split_once(':') {
        Some((_, NOT_STORED)) => Err(BadValue::new(
            "the password is missing: it is kept out of what is printed",
            "give --auth USER:PASS again, or --auth-file FILE",
        )),
        Some((user, password)) if !user.is_empty() && !password.is_empty() => Ok(UserPassword {
            user: user.to_owned(),
            password: password.into(),
        }),
        _ => Err(BadValue::new("the user or the password is missing", hint)),
    }
}

/// Parses how many source addresses there may be at a time.
pub(crate) fn addresses(text: &str) -> Result<NonZeroUsize, BadValue> {
    match text.parse() {
        Ok(number @ 2..=65_536) => Ok(NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)),
        _ => Err(BadValue::new(
            "it is not a number from 2 to 65536",
            "half of the addresses are for sessions; an on-link prefix needs about 300",
        )),
    }
}

pub(crate) fn network(text: &str) -> Result<ipnet::IpNet, BadValue> {
    let hint = "write a network or an address, such as fd00:1::/64, 10.0.0.0/8 or ::1";
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    text.parse()
        .map_err(|wrong: ipnet::AddrParseError| BadValue::new(wrong.to_string(), hint))
}

pub(super) fn duration(text: &str) -> Result<Duration, BadValue> {
    let hint = "write a time, such as 500ms, 10s, 5m or 1h";
    let length: jiff::SignedDuration = text
        .parse()
        .map_err(|wrong: jiff::Error| BadValue::new(wrong.to_string(), hint))?;
    match Duration::try_from(length) {
        Ok(length) if !length.is_zero() => Ok(length),
        _ => Err(BadValue::new("the time must be longer than nothing", hint)),
    }
}

pub(crate) fn rate(text: &str) -> Result<f64, BadValue> {
    let bad = |why: &str| BadValue::new(why, "write how many per time, such as 100/s or 600/1m");
    let (count, time) = text.split_once('/').ok_or_else(|| bad("the time is missing"))?;
    let count: f64 = count
        .parse()
        .map_err(|_not_a_number| bad("the count is no number"))?;
    let rate = count / period(time)?.as_secs_f64();
    if rate.is_finite() && rate > 0.0 {
        Ok(rate)
    } else {
        Err(bad("the count must be above 0"))
    }
}

pub(super) fn byte_budget(text: &str) -> Result<ByteBudget, BadValue> {
    let bad = |why: &str| BadValue::new(why, "write bytes per time, such as 10G/1d or 500M/1h");
    let (bytes, time) = text.split_once('/').ok_or_else(|| bad("the time is missing"))?;
    Ok(ByteBudget {
        bytes: byte_count(bytes).ok_or_else(|| bad("the amount is no number of bytes"))?,
        per: period(time)?,
    })
}

/// `10G` in decimal units, as traffic is counted.
fn byte_count(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|unit: char| !unit.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "" => 1,
        "K" | "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return None,
    };
    digits
        .parse::<u64>()
        .ok()?
        .checked_mul(factor)
        .filter(|bytes| *bytes > 0)
}

/// `1d`, `10m`, or a unit alone for one of it.
fn period(text: &str) -> Result<Duration, BadValue> {
    if text == "d" || text.ends_with('d') {
        let days = text.trim_end_matches('d');
        let days: u32 = if days.is_empty() {
            1
        } else {
            days.parse().unwrap_or(0)
        };
        return duration(&format!("{}h", u64::from(days) * 24));
    }
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        duration(text)
    } else {
        duration(&format!("1{text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_tcp_tls_or_unix() {
        assert_eq!(
            listen("127.0.0.1:1234").unwrap(),
            ListenAddress::Tcp("127.0.0.1:1234".parse().unwrap())
        );
        assert_eq!(
            listen("tls://[::]:8443").unwrap(),
            ListenAddress::Tls("[::]:8443".parse().unwrap())
        );
        assert_eq!(
            listen("unix:/run/x").unwrap(),
            ListenAddress::Unix("/run/x".into())
        );
        for wrong in ["1234", "localhost:1234", "unix:", "::1", "tls://x", ""] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_and_budgets_are_amounts_per_time() {
        assert!((rate("600/1m").unwrap() - 10.0).abs() < 1e-9);
        assert!((rate("5/s").unwrap() - 5.0).abs() < 1e-9);
        let budget = byte_budget("10G/1d").unwrap();
        assert_eq!((budget.bytes, budget.per.as_secs()), (10_000_000_000, 86_400));
        for wrong in ["5", "0/s", "-1/s", "x/s", "5/x"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        for wrong in ["10G", "10X/1d", "0/1d", "10G/0d", "G/1d"] {
            assert!(byte_budget(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_never_shows_in_debug_output() {
        let value = user_password("alice:secret:2").unwrap();
        assert_eq!(value.password.reveal(), "secret:2");
        assert!(!format!("{value:?}").contains("secret"));
        assert!(user_password("alice:NOT-STORED").is_err());
        assert!(user_password("alice").is_err() && user_password(":x").is_err());
    }

    #[test]
    fn an_address_is_a_network_of_one() {
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
        assert!(network("fd00::/64").is_ok() && network("fd00").is_err());
    }
}
