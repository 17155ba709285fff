//! The caller's address in the answer of an endpoint.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

/// The one address in `body`: plain text, or JSON with addresses anywhere in it as long as they are all
/// the same. `None` where there is none, or more than one.
pub(crate) fn address(body: &str) -> Option<IpAddr> {
    let mut found = BTreeSet::new();
    match serde_json::from_str(body) {
        Ok(document) => collect(&document, &mut found),
        Err(_) => found.extend(parse(body)),
    }
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

fn parse(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.trim().parse().ok()?;
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
        ] {
            assert_eq!(address(body), Some(expected), "{body}");
        }
        assert_eq!(address("::ffff:192.0.2.1"), Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn an_answer_without_exactly_one_address_says_nothing() {
        for body in [
            "",
            "<html>2001:db8::1</html>",
            "{}",
            r#"["2001:db8::1","2001:db8::2"]"#,
            "17",
        ] {
            assert_eq!(address(body), None, "{body}");
        }
    }
}
