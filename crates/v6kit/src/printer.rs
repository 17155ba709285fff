//! The one place that prints. Results go to standard output, everything else to standard error.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this module is what the lint protects"
)]

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use console::{Style, Term};
use serde::Serialize;
use v6kit_model::drives_terminals;
use v6kit_net::Code;

use crate::failure::{Exit, Failure};
use crate::runnable::runnable;
use crate::shared_args::OutputArgs;
use crate::stderr::{self, Severity, with_severity};
use crate::table;

/// Prints results as text or JSON, notes, and failures.
#[derive(Debug)]
pub(crate) struct Printer {
    form: Form,
    quiet: bool,
    verbose: u8,
    /// Where results go.
    results: Results,
    /// Why the first of the results that could not be written was not.
    unwritten: OnceLock<io::Error>,
}

/// Where results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Results {
    /// To standard output.
    Output,
    /// To standard error: standard output is another program's.
    Aside,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// A colour with a meaning, shown on terminals only.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warning,
    Faint,
    Strong,
}

impl Printer {
    pub(crate) fn new(args: &OutputArgs) -> Self {
        Self {
            form: if args.json { Form::Json } else { Form::Text },
            quiet: args.quiet,
            verbose: args.verbose,
            results: Results::Output,
            unwritten: OnceLock::new(),
        }
    }

    /// The same with results that go to `results`.
    pub(crate) fn with(self, results: Results) -> Self {
        Self { results, ..self }
    }

    /// How the process ends after `exit`: a result that nobody could read is no success.
    pub(crate) fn finish(&self, exit: Exit) -> Exit {
        match self.unwritten.get() {
            Some(error) if exit == Exit::Done => self.failure(
                &Failure::new(Exit::Failed, "the result could not be written")
                    .why(format!("standard output: {error}"))
                    .hint("what the command did is done: repeat it, or send its output elsewhere"),
            ),
            _ => exit,
        }
    }

    /// Writes a line of the result.
    fn result(&self, text: &impl Display) {
        if self.results == Results::Aside {
            return remark(Severity::Info, text);
        }
        stderr::settle();
        if let Err(error) = write_line(&mut io::stdout().lock(), text) {
            let _ = self.unwritten.set(error);
        }
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Whether `-v` was given.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Whether a progress display makes sense: standard error is a terminal and nobody asked for quiet.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Whether plain lines about progress are wanted on standard error.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The result as the one JSON document, or nothing in text form.
    pub(crate) fn json(&self, document: &impl Serialize) {
        if self.form == Form::Json {
            match serde_json::to_string_pretty(document) {
                Ok(text) => self.result(&in_json(&text)),
                Err(error) => remark(Severity::Error, &format!("error: {error}")),
            }
        }
    }

    /// A document on one line, for commands that go on running after it; nothing in text form.
    pub(crate) fn json_line(&self, document: &impl Serialize) {
        if self.form == Form::Json {
            match serde_json::to_string(document) {
                Ok(text) => self.result(&text),
                Err(error) => remark(Severity::Error, &format!("error: {error}")),
            }
        }
    }

    /// A line of the result, in text form only.
    pub(crate) fn line(&self, text: impl Display) {
        if self.form == Form::Text && !self.quiet {
            self.result(&fitted(&runnable(&text.to_string()), self.width()));
        }
    }

    /// A result that another program reads, as it is, in text form only.
    pub(crate) fn raw(&self, text: impl Display) {
        if self.form == Form::Text && !self.quiet {
            self.result(&text.to_string());
        }
    }

    /// Advice among the results, in text form only: what to do, and where the catalogue says more.
    pub(crate) fn hint(&self, hint: impl Display, code: Option<Code>) {
        let label = self.paint("hint:", Tone::Good);
        match code {
            Some(code) => self.line(format_args!("{label} {}", with_more(&hint, code))),
            None => self.line(format_args!("{label} {hint}")),
        }
    }

    /// Rows of the result in aligned columns, in text form only. On a terminal that is too narrow for them, the last
    /// column goes below the others.
    pub(crate) fn table(&self, rows: impl IntoIterator<Item = Vec<String>>) {
        for line in table::lines(rows.into_iter().collect(), self.width()) {
            self.line(line);
        }
    }

    /// The columns of the terminal that results go to, if they go to one.
    fn width(&self) -> Option<usize> {
        width_of(&match self.results {
            Results::Output => Term::stdout(),
            Results::Aside => Term::stderr(),
        })
    }

    /// A remark on standard error.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            told(Severity::Info, &text.to_string());
        }
    }

    /// A warning on standard error, also when quiet.
    pub(crate) fn warning(&self, text: impl Display) {
        let label = paint_stderr("warning:", Tone::Warning);
        told(Severity::Warning, &format!("{label} {text}"));
    }

    /// Prints a failure and returns its exit code.
    pub(crate) fn failure(&self, failure: &Failure) -> Exit {
        self.json(&serde_json::json!({ "error": failure }));
        tell(failure);
        failure.exit
    }

    /// A question on standard error, without the end of a line.
    pub(crate) fn ask(&self, question: &str) {
        stderr::write(question);
    }

    /// `text` in colour where standard output is a terminal and `NO_COLOR` is not set.
    pub(crate) fn paint(&self, text: impl Display, tone: Tone) -> String {
        match self.results {
            Results::Output => style(tone).for_stdout().apply_to(text).to_string(),
            Results::Aside => paint_stderr(text.to_string(), tone),
        }
    }
}

/// Says on standard error what failed, why, and what to do.
pub(crate) fn tell(failure: &Failure) {
    let what = format!("{} {}", paint_stderr("error:", Tone::Bad), failure.what);
    remark(Severity::Error, &fitted(&what, width_of(&Term::stderr())));
    if let Some(why) = &failure.why {
        let label = paint_stderr("why:", Tone::Strong);
        told(Severity::Error, &format!("{label} {why}"));
    }
    let hint = match &failure.hint {
        Some(hint) => with_more(hint, failure.code),
        None => format!("`v6kit explain {}` says more", failure.code),
    };
    let label = paint_stderr("hint:", Tone::Good);
    told(Severity::Error, &format!("{label} {hint}"));
}

/// Writes a text with commands to standard error.
fn told(severity: Severity, text: &str) {
    remark(severity, &fitted(&runnable(text), width_of(&Term::stderr())));
}

/// The columns of a terminal, where it is one.
fn width_of(terminal: &Term) -> Option<usize> {
    let size = terminal.size_checked();
    size.map(|(_lines, columns)| usize::from(columns))
}

/// `text` on lines that fit a terminal.
fn fitted(text: &str, width: Option<usize>) -> Cow<'_, str> {
    match width {
        Some(width) if width > 0 && text.len() > width => Cow::Owned(table::wrapped(text, width).join("\n")),
        _ => Cow::Borrowed(text),
    }
}

/// A path that JSON would have to escape is left out of it.
fn in_json(text: &str) -> Cow<'_, str> {
    let changed = runnable(text);
    if serde_json::from_str::<serde::de::IgnoredAny>(&changed).is_ok() {
        changed
    } else {
        text.into()
    }
}

fn with_more(hint: &impl Display, code: Code) -> String {
    format!("{hint} (more: `v6kit explain {code}`)")
}

fn paint_stderr(text: impl Display, tone: Tone) -> String {
    style(tone).for_stderr().apply_to(text).to_string()
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Good => Style::new().green(),
        Tone::Bad => Style::new().red().bold(),
        Tone::Warning => Style::new().yellow(),
        Tone::Faint => Style::new().dim(),
        Tone::Strong => Style::new().bold(),
    }
}

/// Writes a line to standard error, where nothing can be said of a failure.
fn remark(severity: Severity, text: &impl Display) {
    let text = with_severity(&text.to_string(), severity);
    stderr::write(&format!("{}\n", harmless(&text)));
}

/// Writes a line. A reader that has gone away (`v6kit … | head`) is no error.
fn write_line(stream: &mut impl Write, text: &impl Display) -> io::Result<()> {
    let text = text.to_string();
    let written = writeln!(stream, "{}", harmless(&text)).and_then(|()| stream.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// `text` with what could drive a terminal written as an escape, wherever it comes from: controls, and the marks that
/// change the direction of writing (Unicode Standard Annex 9). Colours are left (SGR; ECMA-48 section 8.3.117).
fn harmless(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~'))
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = colour(rest).unwrap_or(c.len_utf8());
        let (these, behind) = rest.split_at(length);
        rest = behind;
        match c {
            '\u{1b}' if length > 1 => out.push_str(these),
            '\n' | '\t' => out.push(c),
            c if drives_terminals(c) => {
                let _ = write!(out, "{}", c.escape_unicode());
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The length of the sequence that sets a colour, where `text` begins with one.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    parameters[end..].starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_drive_a_terminal_is_written_as_an_escape() {
        assert_eq!(
            harmless("a\u{9b}31m\u{202e}b\r\u{7f}"),
            "a\\u{9b}31m\\u{202e}b\\u{d}\\u{7f}"
        );
        assert_eq!(harmless("\u{2067}\u{9d}0;x\u{7}"), "\\u{2067}\\u{9d}0;x\\u{7}");
        for text in [
            "caf\u{e9} \u{4e2d}\u{56fd}",
            "two\nlines\tand a tab",
            "\u{1b}[31mred\u{1b}[0m",
        ] {
            assert_eq!(harmless(text), text);
        }
    }
}
