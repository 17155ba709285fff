//! Port ranges and port lists as sysctls write them.

use std::collections::BTreeSet;
use std::fmt::Write;

/// Ports of `net.ipv4.ip_local_reserved_ports`, such as `8080,9000-9002`.
///
/// Parts that are no ports are left out: the kernel writes none.
pub(crate) fn parse_list(text: &str) -> BTreeSet<u16> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
        })
        .flatten()
        .collect()
}

/// The list as the kernel writes it: runs joined by `-`.
pub(crate) fn list(ports: &BTreeSet<u16>) -> String {
    let mut text = String::new();
    let mut ports = ports.iter().copied().peekable();
    while let Some(first) = ports.next() {
        let mut last = first;
        while let Some(next) = ports.next_if(|port| Some(*port) == last.checked_add(1)) {
            last = next;
        }
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = if first == last {
            write!(text, "{comma}{first}")
        } else {
            write!(text, "{comma}{first}-{last}")
        };
    }
    text
}

/// The bounds of `net.ipv4.ip_local_port_range`, such as `32768 60999`.
pub(crate) fn parse_range(text: &str) -> Option<(u16, u16)> {
    let mut bounds = text.split_whitespace().map(str::parse);
    match (bounds.next(), bounds.next(), bounds.next()) {
        (Some(Ok(low)), Some(Ok(high)), None) => Some((low, high)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_as_the_kernel_does() {
        for text in ["", "80", "80-81", "8080,9000-9002,65535", "1-65535"] {
            assert_eq!(list(&parse_list(text)), text);
        }
        assert_eq!(list(&parse_list("9001,9000,9002-9003,9003")), "9000-9003");
    }

    #[test]
    fn a_range_has_two_bounds() {
        assert_eq!(parse_range("32768 60999"), Some((32768, 60999)));
        assert_eq!(parse_range("32768"), None);
        assert_eq!(parse_range("1 2 3"), None);
        assert_eq!(parse_range("1 70000"), None);
    }
}
