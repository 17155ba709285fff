//! robots.txt as RFC 9309 reads it, where the parser reads it otherwise.

use std::borrow::Cow;

/// The same rules, with octets that need no escape written without one (RFC 9309 section 2.2.2), and rules
/// without a path written as ones that match everything least of all: the parser takes an empty `Disallow`
/// for `Allow: /`, which would undo a `Disallow: /` beside it.
pub(crate) fn standardized(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        if is_empty_disallow(line) {
            out.extend_from_slice(b"Allow:\n");
        } else {
            out.extend_from_slice(&unescaped(line));
        }
    }
    out
}

fn is_empty_disallow(line: &[u8]) -> bool {
    const NAME: &[u8] = b"disallow";
    let line = line.trim_ascii_start();
    let Some((name, rest)) = line.split_at_checked(NAME.len()) else {
        return false;
    };
    let Some(value) = rest.trim_ascii_start().strip_prefix(b":") else {
        return false;
    };
    let value = value.trim_ascii_start();
    name.eq_ignore_ascii_case(NAME) && (value.is_empty() || value.starts_with(b"#"))
}

/// `text` with `%61` as `a`, and likewise for every unreserved octet (RFC 3986 section 2.3).
pub(crate) fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        match unreserved(rest) {
            Some(octet) => {
                out.push(octet);
                rest = &rest[3..];
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    Cow::Owned(out)
}

/// The unreserved octet that an escape stands for.
fn unreserved(text: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let octet = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    (octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')).then_some(octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_octets_lose_their_escape() {
        assert_eq!(&*unescaped(b"/%61%2F%7e%C3%a4%4"), b"/a%2F~%C3%a4%4");
        assert!(matches!(unescaped(b"/plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_rule_without_a_path_is_the_weakest() {
        assert_eq!(
            standardized(b"User-agent: *\r\nDisallow: # none\n disallow :\nDisallow: /%61\nDisallowed:\n"),
            b"User-agent: *\r\nAllow:\nAllow:\nDisallow: /a\nDisallowed:\n"
        );
    }
}
