//! The caller's address in the answer of an endpoint.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

/// The caller's address in `body`, which is one of these:
///
/// - JSON with addresses anywhere in it, as long as they are all the same;
/// - text whose first line with anything in it is an address, whatever comes behind it;
/// - text with a line `ip=ADDRESS` (`ip: ADDRESS`), as `/cdn-cgi/trace` has;
/// - text with one address in it, as a word of its own.
///
/// `None` where there is none, or several of which none stands out. A page (HTML) tells nothing: what stands in it
/// may be anybody's address.
pub(crate) fn address(body: &str) -> Option<IpAddr> {
    if let Ok(document) = serde_json::from_str(body) {
        let mut found = BTreeSet::new();
        collect(&document, &mut found);
        return only(found);
    }
    if body.trim_start().starts_with('<') {
        return None;
    }
    let mut lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .next()
        .and_then(parse)
        .or_else(|| only(body.lines().filter_map(labelled).collect()))
        .or_else(|| only(words(body).filter_map(parse).collect()))
}

fn only(mut found: BTreeSet<IpAddr>) -> Option<IpAddr> {
    found.pop_first().filter(|_| found.is_empty())
}

fn collect(value: &Value, found: &mut BTreeSet<IpAddr>) {
    match value {
        // Some servers list the addresses that proxies add.
        Value::String(text) => found.extend(text.split(',').filter_map(parse)),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(members) => members.values().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The address of a line `ip=ADDRESS` or `ip: ADDRESS`.
fn labelled(line: &str) -> Option<IpAddr> {
    let (label, address) = line.split_once(['=', ':'])?;
    let is_label =
        ["ip", "ipv6", "ip6", "address", "your ip"].contains(&label.trim().to_ascii_lowercase().as_str());
    parse(address).filter(|_| is_label)
}

/// Words, without what quotes them or ends a sentence.
fn words(body: &str) -> impl Iterator<Item = &str> {
    let around = |c: char| !c.is_ascii_hexdigit() && c != ':';
    body.split(|c: char| c.is_whitespace() || ",;=\"'(){}<>".contains(c))
        .map(move |word| match word.parse::<SocketAddr>() {
            Ok(_with_port) => word,
            Err(_) => word.trim_matches(around),
        })
        // A time of day is no address, and neither is `::` of some language.
        .filter(|word| word.len() > 2)
}

/// An address by itself, with a port, as a host's network (`/128`) or with a zone (RFC 4007 section 11).
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = text.parse::<SocketAddr>().map(|address| address.ip());
    let alone = || {
        let host = text.strip_suffix("/128").unwrap_or(text);
        let (address, _zone) = host.split_once('%').unwrap_or((host, ""));
        address.parse()
    };
    let address: IpAddr = with_port.or_else(|_| alone()).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_of_any_shape_are_understood() {
        let expected: IpAddr = "2001:db8::1".parse().unwrap();
        for body in [
            "2001:db8::1",
            " 2001:db8::1\r\n",
            "\"2001:db8::1\"",
            r#"{"ip":"2001:db8::1"}"#,
            r#"{"origin":"2001:db8::1, 2001:DB8:0::1"}"#,
            r#"{"client":{"address":"2001:db8::1","port":4711},"country":"none"}"#,
            "\n2001:db8::1\nAS64500, somewhere\nlast seen as 2001:db8::2\n",
            "fl=29f1\nh=example.org\nip=2001:db8::1\nts=1700000000.1\nuag=curl/8 via ::1\n",
            "Country: none\nIP: 2001:db8::1\nProxy: 2001:db8::9\n",
            "Current IP Address: 2001:db8::1\n",
            "Hello! You come from <2001:db8::1>, at 12:00.",
            "You are (2001:db8::1).",
            "[2001:db8::1]:4711",
            r#"{"remote":"[2001:db8::1]:4711"}"#,
            "2001:db8::1/128\n",
            "2001:db8::1%eth0",
            r#"callback({"ip":"2001:db8::1"});"#,
            "seen from [2001:db8::1]:4711, HTTP/1.1",
        ] {
            assert_eq!(address(body), Some(expected), "{body}");
        }
        assert_eq!(address("::ffff:192.0.2.1"), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(address("you are 192.0.2.1"), Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn an_answer_without_an_address_that_stands_out_says_nothing() {
        for body in [
            "",
            "<html>2001:db8::1</html>",
            "<!doctype html>\n<p>2001:db8::1\n",
            "{}",
            r#"["2001:db8::1","2001:db8::2"]"#,
            "17",
            r#"{"origin":"2001:db8::1, 192.0.2.1"}"#,
            "not for 2001:db8::/32",
            "from 2001:db8::1 by way of 2001:db8::2",
            "at 12:30 std::net was down",
            "too many requests",
        ] {
            assert_eq!(address(body), None, "{body}");
        }
    }
}
