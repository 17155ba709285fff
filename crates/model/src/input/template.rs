//! URL templates: `https://example.org/items/{1..1000000}`.

mod parse;

use std::fmt;

use crate::url::Origin;

/// A URL with ranges and sets in braces, whose members are counted and made by position.
///
/// `{1..100}`, `{001..100}` (zero-padded), `{0..100..5}` (in steps), `{a..z}` (single letters), `{1..1e9}`
/// and `{red,green,blue}`. Several multiply, the last one varying fastest, as in a shell. Nothing is ever
/// expanded in memory: a position is turned into its URL in constant time.
///
/// Square brackets are left to IPv6 literals. Characters that a URL cannot hold are percent-encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
    count: u64,
    /// The origin where no brace comes before its end.
    origin: Option<Origin>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Numbers {
        first: u64,
        step: u64,
        count: u64,
        width: usize,
    },
    Letters {
        first: u8,
        step: u8,
        count: u64,
    },
    Words(Vec<String>),
    /// What lies in a fragment.
    Unsent {
        count: u64,
    },
}

impl Part {
    fn count(&self) -> u64 {
        match self {
            Self::Literal(_) => 1,
            Self::Numbers { count, .. } | Self::Letters { count, .. } | Self::Unsent { count } => *count,
            Self::Words(words) => words.len() as u64,
        }
    }

    fn is_value(&self) -> bool {
        !matches!(self, Self::Literal(_) | Self::Unsent { .. })
    }

    fn write(&self, index: u64, out: &mut String) {
        match self {
            Self::Literal(text) => out.push_str(text),
            Self::Numbers {
                first, step, width, ..
            } => {
                let mut digits = itoa::Buffer::new();
                let digits = digits.format(first + step * index);
                for _ in digits.len()..*width {
                    out.push('0');
                }
                out.push_str(digits);
            }
            // At most 25 steps from the first letter.
            Self::Letters { first, step, .. } => out.push(char::from(first + step * index as u8)),
            Self::Words(words) => out.push_str(&words[index as usize]),
            Self::Unsent { .. } => {}
        }
    }
}

impl Template {
    /// The number of URLs.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The template as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port, where every URL has the same.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Whether its URLs differ.
    pub(crate) fn has_values(&self) -> bool {
        self.parts.iter().any(Part::is_value)
    }

    /// What the braces come to at `position`, from left to right.
    pub(crate) fn values(&self, position: u64) -> Vec<String> {
        let mut below = self.count;
        let mut rest = position;
        let mut values = Vec::new();
        for part in &self.parts {
            below /= part.count();
            if part.is_value() {
                let mut value = String::new();
                part.write(rest / below, &mut value);
                values.push(value);
            }
            rest %= below;
        }
        values
    }

    /// Appends the URL at `position`, counted from 0.
    ///
    /// # Panics
    /// When `position` is not below [`Template::count`].
    pub fn write(&self, position: u64, out: &mut String) {
        assert!(position < self.count, "position {position} of {}", self.count);
        let mut below = self.count;
        let mut rest = position;
        for part in &self.parts {
            below /= part.count();
            part.write(rest / below, out);
            rest %= below;
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?}, {} URLs)", self.text, self.count)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

pub use parse::TemplateError;

#[cfg(test)]
mod tests {
    use v6kit_base::Hint as _;

    use super::*;

    fn all(text: &str) -> Vec<String> {
        let template: Template = text.parse().unwrap();
        (0..template.count())
            .map(|position| {
                let mut url = String::new();
                template.write(position, &mut url);
                url
            })
            .collect()
    }

    #[test]
    fn a_range_counts_up() {
        assert_eq!(
            all("http://h/{9..11}"),
            ["http://h/9", "http://h/10", "http://h/11"]
        );
    }

    #[test]
    fn a_template_is_written_as_it_was_read_and_knows_what_its_braces_come_to() {
        let text = "http://h/{0..9}/x{a..b}?{red,green,blue}#{1..2}";
        let template: Template = text.parse().unwrap();
        assert_eq!((template.as_str(), template.to_string().as_str()), (text, text));
        assert!(format!("{template:?}").contains(text));
        assert!(template.has_values());
        // The fragment is never sent, and counts all the same.
        assert_eq!(template.count(), 120);
        assert_eq!(template.values(0), ["0", "a", "red"]);
        assert_eq!(template.values(2 * (3 * (2 * 7 + 1) + 2)), ["7", "b", "blue"]);
        let fixed: Template = "http://h/".parse().unwrap();
        assert_eq!((fixed.has_values(), fixed.values(0)), (false, Vec::new()));
    }

    #[test]
    fn a_missing_scheme_is_told_about_the_template() {
        let error = "h/{1..2}".parse::<Template>().unwrap_err();
        assert_eq!(
            error.to_string(),
            crate::url::split("h/{1..2}").unwrap_err().to_string()
        );
        assert_eq!(error.hint().as_deref(), Some("write https://h/{1..2}"));
        let open = "http://h/{1..}".parse::<Template>().unwrap_err();
        assert_eq!(
            open.hint().as_deref(),
            Some("write both ends, such as {1..1000000}")
        );
    }

    #[test]
    fn a_single_zero_pads_nothing_and_letters_go_in_steps() {
        assert_eq!(all("http://h/{0..10..10}"), ["http://h/0", "http://h/10"]);
        assert_eq!(
            all("http://h/{a..e..2}"),
            ["http://h/a", "http://h/c", "http://h/e"]
        );
        assert_eq!(all("http://h/{a..b..3}"), ["http://h/a"]);
        assert_eq!(all("http://h/{1..2}/x#y{1..1}"), ["http://h/1/x", "http://h/2/x"]);
    }

    #[test]
    fn a_leading_zero_pads_to_the_widest() {
        assert_eq!(
            all("http://h/{08..11}"),
            ["http://h/08", "http://h/09", "http://h/10", "http://h/11"]
        );
        assert_eq!(all("http://h/{1..002}"), ["http://h/001", "http://h/002"]);
    }

    #[test]
    fn a_step_may_pass_over_the_end() {
        assert_eq!(
            all("http://h/{1..9..4}"),
            ["http://h/1", "http://h/5", "http://h/9"]
        );
        assert_eq!(all("http://h/{1..8..4}"), ["http://h/1", "http://h/5"]);
    }

    #[test]
    fn several_multiply_and_the_last_varies_fastest() {
        assert_eq!(
            all("http://{a,b}.h/{1..2}/x{c..d}"),
            [
                "http://a.h/1/xc",
                "http://a.h/1/xd",
                "http://a.h/2/xc",
                "http://a.h/2/xd",
                "http://b.h/1/xc",
                "http://b.h/1/xd",
                "http://b.h/2/xc",
                "http://b.h/2/xd",
            ]
        );
    }

    #[test]
    fn a_set_may_hold_an_empty_word() {
        assert_eq!(all("http://h/a{,.bak}"), ["http://h/a", "http://h/a.bak"]);
    }

    #[test]
    fn a_template_without_braces_is_one_url() {
        assert_eq!(
            all("https://[2001:db8::1]:8443/x?y=%7B1%7D"),
            ["https://[2001:db8::1]:8443/x?y=%7B1%7D"]
        );
    }

    #[test]
    fn a_billion_is_a_billion_however_it_is_written() {
        for text in [
            "http://h/{1..1000000000}",
            "http://h/{1..1e9}",
            "http://h/{1..1_000_000_000}",
        ] {
            let template: Template = text.parse().unwrap();
            assert_eq!(template.count(), 1_000_000_000);
            let mut url = String::new();
            template.write(999_999_999, &mut url);
            assert_eq!(url, "http://h/1000000000");
        }
    }

    #[test]
    fn what_a_url_cannot_hold_is_percent_encoded() {
        assert_eq!(
            all("http://h/a b/ü/{x y,z}#part"),
            ["http://h/a%20b/%C3%BC/x%20y", "http://h/a%20b/%C3%BC/z"]
        );
    }

    #[test]
    fn the_origin_is_known_where_no_brace_comes_before_its_end() {
        let template: Template = "https://h:8443/{1..2}".parse().unwrap();
        assert_eq!(template.origin().unwrap().to_string(), "https://h:8443");
        let template: Template = "https://{a,b}/{1..2}".parse().unwrap();
        assert_eq!(template.origin(), None);
    }
}
