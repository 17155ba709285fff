//! The text format, version 0.0.4.

use std::fmt::{Display, Write};

/// What a family of samples is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts below bounds.
    Histogram,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A page of samples, family by family.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins a family. Its samples follow.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.family = name;
        let kind = kind.as_str();
        // Writing to a String does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    }

    /// A sample of the present family.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.suffixed("", labels, value);
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    /// The samples of a histogram: `counts` holds, for each of `bounds` and for what is above all of them,
    /// how many values fell there and not below.
    pub fn histogram(&mut self, bounds: &[f64], counts: &[u64], sum: f64) {
        let mut total = 0;
        for (index, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds
                .get(index)
                .map_or_else(|| "+Inf".to_owned(), f64::to_string);
            self.suffixed("_bucket", &[("le", &bound)], total);
        }
        self.suffixed("_sum", &[], sum);
        self.suffixed("_count", &[], total);
    }

    fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        for (index, (name, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{name}=\"{}\"", escaped(value));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }

    /// The whole page.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_histograms_add_up() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "What is counted");
        page.sample(&[("user", "a\"b\\c\n"), ("how", "ok")], 7);
        page.family("b_seconds", Kind::Histogram, "Times");
        page.histogram(&[0.5, 1.0], &[2, 1, 4], 9.5);
        assert_eq!(
            page.into_text(),
            "# HELP a_total What is counted.\n# TYPE a_total counter\n\
             a_total{user=\"a\\\"b\\\\c\\n\",how=\"ok\"} 7\n\
             # HELP b_seconds Times.\n# TYPE b_seconds histogram\n\
             b_seconds_bucket{le=\"0.5\"} 2\nb_seconds_bucket{le=\"1\"} 3\nb_seconds_bucket{le=\"+Inf\"} 7\n\
             b_seconds_sum 9.5\nb_seconds_count 7\n"
        );
    }
}
