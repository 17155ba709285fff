//! Where in the words of a command its secrets are.

use std::borrow::Cow;
use std::ops::Range;

use v6kit_model::input::is_secret_header;

/// What stands for a secret in words that are stored and printed.
pub(crate) const NOT_STORED: &str = "NOT-STORED";

/// What kind of value an option has that may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// `USER:PASS`.
    User,
    /// A password alone.
    Password,
    /// A URL, perhaps without its scheme.
    Proxy,
    /// `Name: value`.
    Header,
}

/// Those of all subcommands. Of what follows `--`, a command of the user's own, they are a guess that fits curl(1).
const OPTIONS: [(&str, &str, Value); 5] = [
    ("-u", "--user", Value::User),
    ("--auth", "--auth", Value::User),
    ("--password", "--password", Value::Password),
    ("-x", "--proxy", Value::Proxy),
    ("-H", "--header", Value::Header),
];

/// The secret part of each of `words`, in bytes; `None` for words without one.
pub(super) fn parts(words: &[&[u8]]) -> Vec<Option<Range<usize>>> {
    let mut option = None;
    words
        .iter()
        .map(|word| {
            let found = match option.take() {
                Some(before) => secret_of(before, word, 0),
                None => {
                    // The same word without its switches, `-u` for `-qu`.
                    let switches = bundled(word);
                    let alone = match switches {
                        0 => Cow::Borrowed(*word),
                        switches => Cow::Owned([b"-", &word[1 + switches..]].concat()),
                    };
                    option = option_of(&alone);
                    attached(&alone).and_then(|(option, at)| secret_of(option, word, at + switches))
                }
            };
            found.or_else(|| in_url(word)).filter(|part| !part.is_empty())
        })
        .collect()
}

/// `words` with [`NOT_STORED`] for passwords and for the values of headers that prove who asks.
pub(crate) fn without_secrets(words: Vec<String>) -> Vec<String> {
    let bytes: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    let parts = parts(&bytes);
    let masked = |(mut word, part): (String, Option<Range<usize>>)| {
        if let Some(part) = part {
            word.replace_range(part, NOT_STORED);
        }
        word
    };
    words.into_iter().zip(parts).map(masked).collect()
}

/// A value that was refused, without what may be user name and password of a URL: a password with a `/` in it ends the
/// authority too early, so that all up to the last `@` is left out.
pub(crate) fn shown(value: &str) -> Cow<'_, str> {
    let authority = value.find("://").map_or(0, |scheme| scheme + 3);
    let Some(at) = value.rfind('@').filter(|&at| at >= authority) else {
        return value.into();
    };
    if authority == 0 && !value[..at].contains(':') {
        return value.into();
    }
    format!("{}…{}", &value[..authority], &value[at..]).into()
}

/// What is said about `value`, without what [`shown`] leaves out of it: nothing of it is quoted then.
pub(crate) fn said_of(value: &str, said: &str) -> String {
    let shown = shown(value);
    if shown == value {
        return said.to_owned();
    }
    let said = said.replace(value, &shown);
    let outside_of_quotes = |(index, part): (usize, &str)| {
        if index % 2 == 0 {
            part.to_owned()
        } else {
            "…".to_owned()
        }
    };
    let parts: Vec<String> = said.split('`').enumerate().map(outside_of_quotes).collect();
    parts.join("`")
}

/// The option that `word` is, when its value is the next word.
fn option_of(word: &[u8]) -> Option<Value> {
    let found = OPTIONS
        .iter()
        .find(|(short, long, _)| word == short.as_bytes() || word == long.as_bytes());
    found.map(|(_, _, option)| *option)
}

/// The option that `word` begins with, and where its value does.
fn attached(word: &[u8]) -> Option<(Value, usize)> {
    OPTIONS.iter().find_map(|(short, long, option)| {
        let long_end = word
            .strip_prefix(long.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="));
        let is_short = short.len() == 2;
        let at = match (long_end, word.strip_prefix(short.as_bytes())) {
            (Some(value), _) => word.len() - value.len(),
            (None, Some(value)) if is_short && !value.is_empty() => {
                let value = value.strip_prefix(b"=").unwrap_or(value);
                word.len() - value.len()
            }
            _ => return None,
        };
        Some((*option, at))
    })
}

/// Short options that take no value: others may follow in the same word, as in `-qu USER:PASS`.
const SWITCHES: [u8; 2] = *b"qv";

/// How many octets of `word` are switches in front of another short option; 0 where none are.
fn bundled(word: &[u8]) -> usize {
    let Some(letters) = word.strip_prefix(b"-") else {
        return 0;
    };
    let other = letters.iter().position(|letter| !SWITCHES.contains(letter));
    other.unwrap_or(0)
}

/// The secret of `word`, whose value begins at `at`.
fn secret_of(option: Value, word: &[u8], at: usize) -> Option<Range<usize>> {
    let value = &word[at..];
    let colon = position(value, b':').map(|colon| at + colon);
    match option {
        Value::User => Some(colon? + 1..word.len()),
        Value::Password => Some(at..word.len()),
        Value::Header => {
            // Without a colon it is refused, and what it was meant to be is not known.
            let Some(colon) = colon else {
                return Some(at..word.len());
            };
            let name = String::from_utf8_lossy(&word[at..colon]);
            let blanks = word[colon + 1..].iter().take_while(|byte| **byte == b' ').count();
            is_secret_header(&name).then_some(colon + 1 + blanks..word.len())
        }
        Value::Proxy => {
            let authority = find(value, b"://").map_or(at, |scheme| at + scheme + 3);
            password_before_at(word, authority)
        }
    }
}

/// The password in the authority of a URL.
fn in_url(word: &[u8]) -> Option<Range<usize>> {
    let authority = find(word, b"://")? + 3;
    let end = word[authority..].iter().position(|byte| b"/?#".contains(byte));
    let end = end.map_or(word.len(), |end| authority + end);
    password_before_at(&word[..end], authority)
}

/// The password of `USER:PASS@`, which begins at `from`.
fn password_before_at(word: &[u8], from: usize) -> Option<Range<usize>> {
    let at = from + word[from..].iter().rposition(|byte| *byte == b'@')?;
    let colon = from + position(&word[from..at], b':')?;
    Some(colon + 1..at)
}

fn position(bytes: &[u8], byte: u8) -> Option<usize> {
    bytes.iter().position(|found| *found == byte)
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_of_whatever_form_they_come_in() {
        for (words, expected) in [
            (&["-u", "alice:s:3"][..], &["-u", "alice:NOT-STORED"][..]),
            (&["--user=alice:s3"], &["--user=alice:NOT-STORED"]),
            (&["-ualice:s3"], &["-ualice:NOT-STORED"]),
            (&["-u", "alice"], &["-u", "alice"]),
            (
                &["-x", "socks5://u:p@ss@[::1]:9"],
                &["-x", "socks5://u:NOT-STORED@[::1]:9"],
            ),
            (&["--proxy", "u:p@h:1"], &["--proxy", "u:NOT-STORED@h:1"]),
            (&["-x", "http://h:1"], &["-x", "http://h:1"]),
            (&["-x", "http://u:p/q@h"], &["-x", "http://u:NOT-STORED@h"]),
            (
                &["-H", "authorization: Bearer x"],
                &["-H", "authorization: NOT-STORED"],
            ),
            (&["-HCookie:a=b"], &["-HCookie:NOT-STORED"]),
            (&["-qu", "alice:s3"], &["-qu", "alice:NOT-STORED"]),
            (&["-vvqualice:s3"], &["-vvqualice:NOT-STORED"]),
            (&["-qu=alice:s3"], &["-qu=alice:NOT-STORED"]),
            (&["-vH", "Cookie: a=b"], &["-vH", "Cookie: NOT-STORED"]),
            (&["-qHCookie: a=b"], &["-qHCookie: NOT-STORED"]),
            (&["-vx", "http://u:p@h:1"], &["-vx", "http://u:NOT-STORED@h:1"]),
            (&["-q", "-u", "alice:s3"], &["-q", "-u", "alice:NOT-STORED"]),
            (&["-q", "-o", "x:y"], &["-q", "-o", "x:y"]),
            (&["-H", "X-Vault-Token: t"], &["-H", "X-Vault-Token: NOT-STORED"]),
            (&["--header=X-Page: 1"], &["--header=X-Page: 1"]),
            (&["-H", "Cookie:"], &["-H", "Cookie:"]),
            (&["--auth", "bob:p"], &["--auth", "bob:NOT-STORED"]),
            (&["--auth=bob:p"], &["--auth=bob:NOT-STORED"]),
            (&["--auth-file", "f:x"], &["--auth-file", "f:x"]),
            (&["--password=p"], &["--password=NOT-STORED"]),
            (
                &["http://u:p@h/", "-o", "x"],
                &["http://u:NOT-STORED@h/", "-o", "x"],
            ),
            (&["http://h/?a=b:c@d"], &["http://h/?a=b:c@d"]),
            (
                &["setup", "--", "curl", "-u", "u:p"],
                &["setup", "--", "curl", "-u", "u:NOT-STORED"],
            ),
        ] {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(without_secrets(words), expected);
        }
    }

    #[test]
    fn a_refused_value_is_shown_without_what_may_be_a_password() {
        assert_eq!(shown("http://u:s3/cret@h:bad/x"), "http://…@h:bad/x");
        assert_eq!(shown("http://h:bad/x"), "http://h:bad/x");
        assert_eq!(shown("me@h"), "me@h");
        assert_eq!(shown("me:s3cret@h/{"), "…@h/{");
        assert_eq!(
            said_of("http://u:{s3@h", "the brace of `{s3@h` is never closed"),
            "the brace of `…` is never closed"
        );
        assert_eq!(said_of("u:s3@h", "write https://u:s3@h"), "write https://…@h");
        assert_eq!(
            said_of("http://h:bad", "`bad` is not a port"),
            "`bad` is not a port"
        );
    }
}
