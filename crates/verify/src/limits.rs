//! Room for connections on this host.

use std::fs;
use std::io;

use nix::sys::resource::{Resource, getrlimit};
use v6kit_net::Code;

use crate::report::Check;

/// Below these, many connections at once will meet the limit.
const ENOUGH_FILES: u64 = 4096;
const ENOUGH_PORTS: u32 = 10_000;
const ENOUGH_CONNTRACK: u64 = 16_384;

const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const CONNTRACK_COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const CONNTRACK_MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// File descriptors, ports, and room in the table of tracked connections.
pub(crate) fn checks() -> Vec<Check> {
    vec![files(), ports(), conntrack()]
}

/// The table of tracked connections of this network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) count: u64,
    pub(crate) max: u64,
}

impl Table {
    /// Whether there is no room for another connection. The count trembles at the limit: the kernel
    /// evicts an entry here and there (`early_drop`, nf_conntrack).
    pub(crate) fn is_full(self) -> bool {
        self.max > 0 && self.count.saturating_add(self.max / 50) >= self.max
    }
}

/// The table, where this host tracks connections.
pub(crate) fn table() -> Option<Table> {
    let count = number(CONNTRACK_COUNT).ok().filter(|count| *count > 0)?;
    let max = number(CONNTRACK_MAX).ok()?;
    Some(Table { count, max })
}

fn files() -> Check {
    const ID: &str = "files";
    let limit = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) => hard,
        Err(error) => return Check::skipped(ID, format!("the limit on open files cannot be read: {error}")),
    };
    let detail = format!("up to {limit} open files, one per connection");
    if limit < ENOUGH_FILES {
        Check::warning(ID, detail).hint(
            Code::OpenFiles,
            "raise the hard limit: setup does for logins (`v6kit help setup`), LimitNOFILE= for a unit",
        )
    } else {
        Check::ok(ID, detail)
    }
}

fn ports() -> Check {
    const ID: &str = "ports";
    match fs::read_to_string(PORT_RANGE) {
        Ok(text) => match port_count(&text) {
            Some(count) => port_check(ID, count),
            None => Check::skipped(ID, format!("{PORT_RANGE} cannot be understood: {}", text.trim())),
        },
        Err(error) => Check::skipped(ID, format!("{PORT_RANGE} cannot be read: {error}")),
    }
}

fn port_check(id: &'static str, count: u32) -> Check {
    let detail = format!("{count} ports for connections from one source address to one destination");
    if count < ENOUGH_PORTS {
        Check::warning(id, detail).hint(
            Code::Ports,
            "widen net.ipv4.ip_local_port_range, as setup does: `v6kit help setup`",
        )
    } else {
        Check::ok(id, detail)
    }
}

/// The number of ports in `LOW HIGH`, both included.
fn port_count(text: &str) -> Option<u32> {
    let (low, high) = text.trim().split_once(char::is_whitespace)?;
    let (low, high): (u32, u32) = (low.parse().ok()?, high.trim().parse().ok()?);
    (high + 1).checked_sub(low)
}

fn conntrack() -> Check {
    const ID: &str = "conntrack";
    match (number(CONNTRACK_COUNT), number(CONNTRACK_MAX)) {
        (Ok(0), Ok(_)) => Check::ok(ID, "this host tracks no connections now"),
        (Ok(count), Ok(max)) => conntrack_check(ID, count, max),
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Check::ok(ID, "this host does not track connections")
        }
        (Err(error), _) | (_, Err(error)) => {
            Check::skipped(ID, format!("the table of connections cannot be read: {error}"))
        }
    }
}

fn conntrack_check(id: &'static str, count: u64, max: u64) -> Check {
    let room = max.saturating_sub(count);
    let detail = format!("{count} of {max} tracked connections in use");
    if room < ENOUGH_CONNTRACK {
        Check::warning(id, detail).hint(
            Code::TableFull,
            "a full table drops new connections; setup with --conntrack notrack keeps the prefix out of it: `v6kit help setup`",
        )
    } else {
        Check::ok(id, detail)
    }
}

fn number(path: &str) -> io::Result<u64> {
    fs::read_to_string(path)?
        .trim()
        .parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Outcome;

    #[test]
    fn a_port_range_counts_both_ends() {
        assert_eq!(port_count("32768\t60999\n"), Some(28_232));
        assert_eq!(port_count("5 5"), Some(1));
        assert_eq!(port_count("6 4"), None);
        assert_eq!(port_count("x"), None);
    }

    #[test]
    fn little_room_is_a_warning_with_advice() {
        for check in [
            port_check("ports", 100),
            conntrack_check("conntrack", 60_000, 65_536),
        ] {
            assert_eq!(check.outcome, Outcome::Warning);
            assert!(check.hint.is_some());
        }
        assert_eq!(port_check("ports", 28_232).outcome, Outcome::Ok);
        assert_eq!(conntrack_check("conntrack", 10, 262_144).outcome, Outcome::Ok);
    }
}
