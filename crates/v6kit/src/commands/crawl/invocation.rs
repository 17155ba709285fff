//! The words that a crawl was started with.

use std::ffi::OsString;

use v6kit_model::input::SECRET_HEADERS;

/// What stands for a secret in words that are stored and printed.
pub(super) const NOT_STORED: &str = "NOT-STORED";

/// The words of this command.
pub(super) fn words() -> Vec<String> {
    std::env::args_os()
        .map(|word: OsString| word.to_string_lossy().into_owned())
        .collect()
}

/// `words` as a line for a shell.
pub(super) fn quoted(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_nul| words.join(" "))
}

/// `words` with [`NOT_STORED`] for passwords and for the values of headers that prove who asks.
pub(super) fn without_secrets(words: Vec<String>) -> Vec<String> {
    let mut option = None;
    words
        .into_iter()
        .map(|word| {
            // The same word without its switches, `-u` for `-qu`.
            let switches = bundled(&word);
            let alone = match switches {
                0 => word.clone(),
                switches => format!("-{}", &word[1 + switches..]),
            };
            if let Some(before) = option.take() {
                return mask(before, &word, 0);
            }
            option = option_of(&alone);
            match attached(&alone) {
                Some((option, at)) => mask(option, &word, at + switches),
                None => word,
            }
        })
        .collect()
}

/// What kind of value an option has that may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secret {
    User,
    Password,
    Proxy,
    Header,
}

const OPTIONS: [(&str, &str, Secret); 4] = [
    ("-u", "--user", Secret::User),
    ("--password", "--password", Secret::Password),
    ("-x", "--proxy", Secret::Proxy),
    ("-H", "--header", Secret::Header),
];

/// The option that `word` is, when its value is the next word.
fn option_of(word: &str) -> Option<Secret> {
    let found = OPTIONS
        .iter()
        .find(|(short, long, _)| word == *short || word == *long);
    found.map(|(_, _, option)| *option)
}

/// The option that `word` begins with, and where its value does.
fn attached(word: &str) -> Option<(Secret, usize)> {
    OPTIONS.iter().find_map(|(short, long, option)| {
        let long_end = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
        let at = match (long_end, word.strip_prefix(short)) {
            (Some(value), _) => word.len() - value.len(),
            (None, Some(value)) if !value.is_empty() => {
                let value = value.strip_prefix('=').unwrap_or(value);
                word.len() - value.len()
            }
            _ => return None,
        };
        Some((*option, at))
    })
}

/// Short options that take no value: others may follow in the same word, as in `-qu USER:PASS`.
const SWITCHES: [char; 2] = ['q', 'v'];

/// How many octets of `word` are switches in front of another short option; 0 where none are.
fn bundled(word: &str) -> usize {
    let Some(letters) = word.strip_prefix('-') else {
        return 0;
    };
    let rest = letters.trim_start_matches(SWITCHES);
    if rest.is_empty() {
        0
    } else {
        letters.len() - rest.len()
    }
}

/// `word`, whose value begins at `at`, without its secret.
fn mask(option: Secret, word: &str, at: usize) -> String {
    let (option_text, value) = word.split_at(at);
    let masked = match option {
        Secret::User => value
            .split_once(':')
            .map(|(user, _)| format!("{user}:{NOT_STORED}")),
        Secret::Password => Some(NOT_STORED.to_owned()),
        Secret::Header => value.split_once(':').and_then(|(name, _)| {
            let known = SECRET_HEADERS.contains(&name.trim().to_ascii_lowercase().as_str());
            known.then(|| format!("{name}: {NOT_STORED}"))
        }),
        Secret::Proxy => value.rsplit_once('@').map(|(before, host)| {
            let (scheme, user) = match before.split_once("://") {
                Some((scheme, user)) => (format!("{scheme}://"), user),
                None => (String::new(), before),
            };
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}{user}:{NOT_STORED}@{host}")
        }),
    };
    match masked {
        Some(masked) => format!("{option_text}{masked}"),
        None => word.to_owned(),
    }
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
            (
                &["-H", "authorization: Bearer x"],
                &["-H", "authorization: NOT-STORED"],
            ),
            (&["-HCookie:a=b"], &["-HCookie: NOT-STORED"]),
            (&["-qu", "alice:s3"], &["-qu", "alice:NOT-STORED"]),
            (&["-vvqualice:s3"], &["-vvqualice:NOT-STORED"]),
            (&["-qu=alice:s3"], &["-qu=alice:NOT-STORED"]),
            (&["-vH", "Cookie: a=b"], &["-vH", "Cookie: NOT-STORED"]),
            (&["-qHCookie: a=b"], &["-qHCookie: NOT-STORED"]),
            (&["-vx", "http://u:p@h:1"], &["-vx", "http://u:NOT-STORED@h:1"]),
            (&["-q", "-u", "alice:s3"], &["-q", "-u", "alice:NOT-STORED"]),
            (&["-q", "-o", "x:y"], &["-q", "-o", "x:y"]),
            (&["--header=X-Page: 1"], &["--header=X-Page: 1"]),
            (&["http://u:p@h/", "-o", "x"], &["http://u:p@h/", "-o", "x"]),
        ] {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(without_secrets(words), expected);
        }
    }
}
