//! `v6kit explain`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use v6kit_net::Code;

use crate::catalogue;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    v6kit explain no-route\n  \
    v6kit explain                  every code")]
pub(crate) struct ExplainArgs {
    /// The code at the end of a hint; all of them when not given
    #[arg(value_name = "CODE", value_parser = parser(), hide_possible_values = true)]
    code: Option<Code>,
}

fn parser() -> impl TypedValueParser<Value = Code> {
    PossibleValuesParser::new(Code::ALL.iter().map(|code| code.name())).try_map(|name| {
        Code::ALL
            .iter()
            .copied()
            .find(|code| code.name() == name)
            .ok_or("no such code")
    })
}

pub(crate) fn run(args: &ExplainArgs, printer: &Printer) -> Result<Exit, Failure> {
    match args.code {
        Some(code) => {
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
