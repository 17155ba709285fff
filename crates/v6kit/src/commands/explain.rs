//! `v6kit explain`.

use v6kit_model::{ErrorKind, Outcome};
use v6kit_net::Code;

use crate::catalogue;
use crate::failure::Exit;
use crate::printer::{Printer, Tone};
use crate::shared_args::BadValue;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    v6kit explain no-route\n  \
    v6kit explain connect_timeout\n  \
    v6kit explain                  every code")]
pub(crate) struct ExplainArgs {
    /// The code at the end of a hint, the outcome of a record, or the kind of its failure; all codes when not given
    #[arg(value_name = "CODE", value_parser = subject)]
    code: Option<Subject>,
}

/// What can be explained.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Code(Code),
    Kind(ErrorKind),
    Outcome(Outcome),
}

/// Every name that can be explained.
fn names() -> impl Iterator<Item = &'static str> {
    let codes = Code::ALL.iter().map(|code| code.name());
    let kinds = ErrorKind::ALL.iter().map(|kind| kind.as_str());
    let outcomes = Outcome::ALL.iter().map(|outcome| outcome.as_str());
    codes.chain(kinds).chain(outcomes)
}

fn subject(name: &str) -> Result<Subject, BadValue> {
    let code = Code::ALL.iter().find(|code| code.name() == name);
    let kind = ErrorKind::ALL.iter().find(|kind| kind.as_str() == name);
    let outcome = Outcome::ALL.iter().find(|outcome| outcome.as_str() == name);
    code.map(|code| Subject::Code(*code))
        .or(kind.map(|kind| Subject::Kind(*kind)))
        .or(outcome.map(|outcome| Subject::Outcome(*outcome)))
        .ok_or_else(|| {
            BadValue::new(
                "no code, no outcome and no kind of failure has that name",
                format!(
                    "did you mean `{}`? `v6kit explain` lists every code",
                    nearest(name)
                ),
            )
        })
}

/// The name that is most like `name`, however far off; words in which it stands come first.
fn nearest(name: &str) -> &'static str {
    let folded = name.to_lowercase().replace('_', "-");
    let alike = |known: &str| {
        let known = known.replace('_', "-");
        let is_in = folded.len() > 2 && known.contains(&folded);
        strsim::jaro_winkler(&folded, &known) + if is_in { 1.0 } else { 0.0 }
    };
    let first = Code::ALL[0].name();
    names().fold(
        first,
        |best, known| if alike(known) > alike(best) { known } else { best },
    )
}

/// What an outcome says of its item.
pub(crate) fn counts(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "It is data.",
        Outcome::Absent => "The site says that there is no such thing.",
        Outcome::Blocked => "The site or its rules refuse the item.",
        Outcome::Transient => "It may pass: the item was tried again, up to --retries times.",
        Outcome::Fatal => "It will not pass by asking again, so the item was asked for once.",
    }
}

/// What an outcome of a record means, and the kinds of failure that end so.
fn explain_outcome(outcome: Outcome) -> String {
    let kinds: Vec<&str> = ErrorKind::ALL
        .iter()
        .filter(|kind| kind.outcome() == outcome)
        .map(|kind| kind.as_str())
        .collect();
    let text = counts(outcome);
    if kinds.is_empty() {
        return text.to_owned();
    }
    format!(
        "{text} Kinds of failure that count so: {}. `v6kit explain {}` and the like say more.",
        kinds.join(", "),
        kinds[0]
    )
}

/// What a kind of failure in a record means for its item.
fn explain_kind(kind: ErrorKind) -> String {
    let outcome = kind.outcome();
    let counts = counts(outcome);
    format!(
        "{}\n\nAn item that ends so counts as `{outcome}`. {counts} `v6kit help crawl cat` tells how to see the records, and \
         `v6kit help crawl retry` how to fetch them again; both take --outcome {outcome}.",
        kind.meaning()
    )
}

pub(crate) fn run(args: &ExplainArgs, printer: &Printer) -> anyhow::Result<Exit> {
    match args.code {
        Some(Subject::Kind(kind)) => {
            let text = explain_kind(kind);
            printer.json(&serde_json::json!({ "code": kind.as_str(), "text": text }));
            printer.line(printer.paint(kind, Tone::Strong));
            printer.line(format_args!("\n{text}"));
        }
        Some(Subject::Outcome(outcome)) => {
            let text = explain_outcome(outcome);
            printer.json(&serde_json::json!({ "code": outcome.as_str(), "text": text }));
            printer.line(printer.paint(outcome, Tone::Strong));
            printer.line(format_args!("\n{text}"));
        }
        Some(Subject::Code(code)) => {
            let text = catalogue::entry(code);
            printer.json(&serde_json::json!({ "code": code.name(), "text": text }));
            printer.line(printer.paint(code, Tone::Strong));
            printer.line(format_args!("\n{text}"));
        }
        None => {
            let all: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
            printer.json(&serde_json::json!({ "codes": all }));
            printer.line(all.join("\n"));
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_is_answered_with_the_nearest() {
        for (typed, known) in [
            ("conect_timeout", "connect_timeout"),
            ("Connect-Timeout", "connect_timeout"),
            ("noroute", "no-route"),
            ("blocked_", "blocked"),
            ("nft", "nft"),
        ] {
            assert_eq!(nearest(typed), known, "{typed}");
        }
        assert!(names().any(|known| known == nearest("foo")));
        assert!(subject("foo").is_err() && subject("no-route").is_ok());
    }
}
