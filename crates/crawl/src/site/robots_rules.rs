//! The rules of a robots.txt for one agent, read and matched as RFC 9309 says.

use std::time::Duration;

use memchr::memmem;

/// The rules that hold for one agent.
#[derive(Debug, Default)]
pub(crate) struct RobotsRules {
    rules: Vec<Rule>,
    delay: Option<Duration>,
}

impl RobotsRules {
    /// Reads the groups of `text` that are for `product`, the product token of an agent; where no group names it,
    /// those for `*` (section 2.2.1). Lines that are no records are passed over.
    pub(crate) fn parse(text: &[u8], product: &str) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let (mut named, mut anybody) = (None, Self::default());
        // Whose the group is, and whether a rule has ended its list of agents. Records other than rules do not
        // (section 2.2.4), and rules before any agent are nobody's (section 2.1).
        let mut group = Group::default();
        for (key, value) in text
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .filter_map(record)
        {
            match key {
                Key::Agent => group.add(value, product),
                Key::Allow | Key::Disallow => {
                    group.has_rules = true;
                    if let Some(rule) = Rule::new(key == Key::Allow, value) {
                        group.of(&mut named, &mut anybody, |rules| rules.rules.push(rule.clone()));
                    } else {
                        group.of(&mut named, &mut anybody, |_| ());
                    }
                }
                Key::CrawlDelay => {
                    if let Some(delay) = delay(value) {
                        group.of(&mut named, &mut anybody, |rules| {
                            rules.delay = rules.delay.max(Some(delay));
                        });
                    }
                }
            }
            if key == Key::Agent && group.is_named {
                named.get_or_insert_default();
            }
        }
        named.unwrap_or(anybody)
    }

    /// Whether everything may be fetched.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether `target`, the path and query of a URL, may be fetched: what the rule with the most octets says, and
    /// `Allow` of two equal ones (section 2.2.2).
    pub(crate) fn allows(&self, target: &[u8]) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        let target = canonical(target);
        let matching = self.rules.iter().filter(|rule| rule.matches(&target));
        matching
            .max_by_key(|rule| (rule.octets, rule.allow))
            .is_none_or(|rule| rule.allow)
    }

    /// The pause between requests that is asked for; no part of the standard.
    pub(crate) fn delay(&self) -> Option<Duration> {
        self.delay
    }
}

/// The agents that the lines read now are for.
#[derive(Debug, Default)]
struct Group {
    is_named: bool,
    is_anybody: bool,
    has_rules: bool,
}

impl Group {
    fn add(&mut self, agent: &[u8], product: &str) {
        if self.has_rules {
            *self = Self::default();
        }
        match agent {
            [b'*'] | [b'*', b' ' | b'\t', ..] => self.is_anybody = true,
            // What stands behind the token, such as a version, is no part of the name.
            _ => self.is_named |= token(agent).eq_ignore_ascii_case(product.as_bytes()),
        }
    }

    fn of(
        &self,
        named: &mut Option<RobotsRules>,
        anybody: &mut RobotsRules,
        mut add: impl FnMut(&mut RobotsRules),
    ) {
        if self.is_named {
            add(named.get_or_insert_default());
        }
        if self.is_anybody {
            add(anybody);
        }
    }
}

/// The product token that `agent` begins with (section 2.2.1; digits, which it leaves out, are in many names).
pub(crate) fn token(agent: &[u8]) -> &[u8] {
    let end = agent
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
    &agent[..end.unwrap_or(agent.len())]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Agent,
    Allow,
    Disallow,
    CrawlDelay,
}

/// A line without its comment, as key and value.
fn record(line: &[u8]) -> Option<(Key, &[u8])> {
    let line = line.split(|byte| *byte == b'#').next()?;
    let colon = memchr::memchr(b':', line)?;
    let (key, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
    let is = |names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name.as_bytes()));
    // The misspellings that Google's reader takes.
    let key = if is(&["user-agent", "useragent", "user agent"]) {
        Key::Agent
    } else if is(&[
        "disallow",
        "dissallow",
        "dissalow",
        "disalow",
        "diasllow",
        "disallaw",
    ]) {
        Key::Disallow
    } else if is(&["allow"]) {
        Key::Allow
    } else if is(&["crawl-delay", "crawldelay", "crawl delay"]) {
        Key::CrawlDelay
    } else {
        return None;
    };
    Some((key, value))
}

fn delay(value: &[u8]) -> Option<Duration> {
    let seconds: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A path pattern: `*` is any number of octets, `$` at the end the end (section 2.2.3).
#[derive(Debug, Clone)]
struct Rule {
    allow: bool,
    /// The octets of the pattern in canonical form, by which the most specific rule is found.
    octets: usize,
    /// What stands between the stars, in canonical form.
    parts: Vec<Box<[u8]>>,
    is_anchored: bool,
}

impl Rule {
    /// None for an empty pattern, which matches nothing (section 2.2.2).
    fn new(allow: bool, pattern: &[u8]) -> Option<Self> {
        if pattern.is_empty() {
            return None;
        }
        let (body, is_anchored) = match pattern.strip_suffix(b"$") {
            Some(body) => (body, true),
            None => (pattern, false),
        };
        let parts: Vec<Box<[u8]>> = body
            .split(|byte| *byte == b'*')
            .map(|part| canonical(part).into())
            .collect();
        let stars = parts.len() - 1;
        Some(Self {
            allow,
            octets: parts.iter().map(|part| part.len()).sum::<usize>() + stars + usize::from(is_anchored),
            parts,
            is_anchored,
        })
    }

    /// `target` is canonical. Takes one pass: the leftmost place of each part is as good as any.
    fn matches(&self, target: &[u8]) -> bool {
        let Some((first, behind)) = self.parts.split_first() else {
            return false;
        };
        let Some(mut rest) = target.strip_prefix(&**first) else {
            return false;
        };
        let Some((last, between)) = behind.split_last() else {
            return !self.is_anchored || rest.is_empty();
        };
        for part in between {
            let Some(at) = memmem::find(rest, part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        if self.is_anchored {
            rest.ends_with(last)
        } else {
            memmem::find(rest, last).is_some()
        }
    }
}

/// `text` in the form in which patterns and paths are compared (section 2.2.2): unreserved octets without an
/// escape, hex digits of escapes in upper case, and `*`, `$` and what no URI may hold escaped, such as a space and
/// everything outside ASCII.
fn canonical(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        match escaped(first, behind) {
            Some(octet) => {
                rest = &behind[2..];
                if is_unreserved(octet) {
                    out.push(octet);
                } else {
                    push_escape(&mut out, octet);
                }
            }
            None if is_plain(first) => out.push(first),
            None => push_escape(&mut out, first),
        }
    }
    out
}

/// The octet that an escape stands for.
fn escaped(first: u8, behind: &[u8]) -> Option<u8> {
    let (b'%', &[high, low, ..]) = (first, behind) else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Whether it stands for itself alone: what RFC 3986 sections 2.2 and 2.3 allow but `*` and `$`, and a `%` before no
/// hex digits.
fn is_plain(octet: u8) -> bool {
    is_unreserved(octet) || b":/?#[]@!&'()+,;=%".contains(&octet)
}

/// RFC 3986 section 2.3.
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

fn push_escape(out: &mut Vec<u8>, octet: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[
        b'%',
        DIGITS[usize::from(octet >> 4)],
        DIGITS[usize::from(octet & 15)],
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str, target: &str) -> bool {
        RobotsRules::parse(text.as_bytes(), "v6kit").allows(target.as_bytes())
    }

    fn rule(pattern: &str, target: &str) -> bool {
        !allowed(&format!("User-agent: *\nDisallow: {pattern}\n"), target)
    }

    #[test]
    fn a_dollar_is_an_end_only_at_the_end() {
        assert!(rule("/a$b", "/a$bc") && !rule("/a$b", "/a"));
        assert!(rule("/a$$", "/a$") && !rule("/a$$", "/a") && !rule("/a$$", "/a$$"));
        assert!(rule("/*$x", "/y$x") && !rule("/*$x", "/y"));
        assert!(rule("/a*$", "/abc") && rule("/$", "/") && !rule("/$", "/a"));
    }

    #[test]
    fn escapes_are_compared_by_what_they_stand_for() {
        assert!(rule("/x-%24", "/x-$") && rule("/x-%24", "/x-%24") && !rule("/x-%24", "/x-"));
        assert!(rule("/%2A/", "/*/") && !rule("/%2A/", "/b/"));
        assert!(rule("/a%3cd", "/a%3Cd") && rule("/%61", "/a") && rule("/a", "/%61"));
        assert!(rule("/ä", "/%c3%a4") && rule("/%C3%a4", "/ä"));
        assert!(rule("/a%2Fb", "/a%2fb") && !rule("/a%2Fb", "/a/b") && !rule("/a/b", "/a%2Fb"));
        assert!(rule("/%zz", "/%zz") && rule("/100%", "/100%"));
        assert!(rule("/a b|c", "/a%20b%7Cc") && rule("/a%22", "/a\"") && rule("/[x]", "/[x]"));
    }

    #[test]
    fn stars_match_any_octets_in_one_pass() {
        assert!(rule("*.gif$", "/a/b.gif") && !rule("*.gif$", "/b.gif?x"));
        assert!(rule("/a*b*c", "/axxbxxcxx") && !rule("/a*b*c", "/axxcxxb"));
        assert!(rule("/*b*b$", "/bb") && !rule("/*b*b$", "/b"));
        let pattern = "*a".repeat(10_000);
        assert!(!rule(&format!("/{pattern}b"), &format!("/{}", "a".repeat(9_000))));
    }

    #[test]
    fn the_name_of_a_group_ends_where_its_token_ends() {
        for agent in [
            "v6kit/0.1.0",
            "V6KIT (+https://example.org)",
            "v6kit*",
            "v6kit bot",
        ] {
            assert!(
                !allowed(&format!("User-agent: {agent}\nDisallow: /a\n"), "/a"),
                "{agent}"
            );
        }
        for agent in ["v6kitten", "v6", "xv6kit", "v6kit-news"] {
            assert!(
                allowed(&format!("User-agent: {agent}\nDisallow: /a\n"), "/a"),
                "{agent}"
            );
        }
        assert!(!allowed("User-agent: * # all\nDisallow: /a", "/a"));
    }

    #[test]
    fn only_rules_end_a_list_of_agents() {
        let shared = "User-agent: v6kit\nCrawl-delay: 3\nSitemap: /map\n\nUser-agent: other\nDisallow: /a\n";
        assert!(!allowed(shared, "/a"));
        let apart = "User-agent: v6kit\nDisallow:\nUser-agent: other\nDisallow: /a\n";
        assert!(allowed(apart, "/a"));
        assert!(
            allowed("Disallow: /a\nUser-agent: v6kit\n", "/a"),
            "rules before any agent are nobody's"
        );
        let own = "User-agent: v6kit\n\nUser-agent: *\nDisallow: /b\n";
        assert!(!allowed(own, "/b"), "two agents of one group");
        let empty = "User-agent: *\nDisallow: /b\n\nUser-agent: v6kit\n";
        assert!(allowed(empty, "/b"), "a group of its own, without rules");
        let merged =
            "User-agent: v6kit\nDisallow: /a\nUser-agent: *\nDisallow: /c\nUser-agent: v6kit\nDisallow: /b";
        assert!(!allowed(merged, "/a") && !allowed(merged, "/b") && allowed(merged, "/c"));
    }

    #[test]
    fn the_most_octets_win_and_allow_of_two_equal_rules() {
        let text = "User-agent: *\nAllow: /p\nDisallow: /\nDisallow: /p/q\nAllow: /p/q\n";
        assert!(allowed(text, "/p") && allowed(text, "/p/q") && !allowed(text, "/x"));
    }

    #[test]
    fn octets_are_counted_as_they_are_compared() {
        let text = "User-agent: *\nDisallow: /%61/\nAllow: /a/b\n";
        assert!(allowed(text, "/a/b") && !allowed(text, "/a/c"));
        let text = "User-agent: *\nDisallow: /\u{e4}/\nAllow: /%C3%A4\n";
        assert!(!allowed(text, "/%c3%a4/x"));
    }

    #[test]
    fn lines_end_in_any_way_and_keys_are_spelt_as_they_are() {
        assert!(!allowed("\u{feff}USER-AGENT : *\r\rDissallow\t: /a\r", "/a"));
        assert!(!allowed("useragent: *\r\ndisallow: /a # but not /b\r\n", "/ab"));
        assert!(allowed("User-agent: *\nDisallow /a\n", "/a"));
    }

    #[test]
    fn the_longest_delay_of_a_group_is_kept() {
        let delay = |text: &str| RobotsRules::parse(text.as_bytes(), "v6kit").delay();
        let text = "User-agent: *\nCrawl-delay: 2.5\nCrawl-delay: 1\nCrawl-delay: soon\nCrawl-delay: -1\nCrawl-delay: inf\n";
        assert_eq!(delay(text), Some(Duration::from_millis(2500)));
        assert_eq!(delay("User-agent: other\nCrawl-delay: 9\nDisallow:"), None);
    }
}
