//! `v6kit completions`.

use std::ffi::OsString;

use clap_complete::Shell;

use crate::completion;
use crate::failure::Exit;
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    v6kit completions bash > ~/.local/share/bash-completion/completions/v6kit\n  \
    v6kit completions zsh > ~/.zfunc/_v6kit\n  \
    v6kit completions fish > ~/.config/fish/completions/v6kit.fish\n\n\
    In bash, zsh and fish, devices, prefixes that are set up, and job directories are completed as well, and the\n\
    command behind `--` by its own completion. No network is asked.")]
pub(crate) struct CompletionsArgs {
    /// The shell to complete in
    shell: Shell,
    /// Print the candidates for this word of WORDS, which the script asks for
    #[arg(long, value_name = "N", hide = true, requires = "words")]
    at: Option<usize>,
    /// The words of the line
    #[arg(last = true, value_name = "WORDS", hide = true)]
    words: Vec<OsString>,
}

/// Prints the script that completes `root`, the whole command line, or the candidates for a word.
pub(crate) fn run(
    args: &CompletionsArgs,
    mut root: clap::Command,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    if let Some(at) = args.at {
        let found = completion::candidates(root, args.words.clone(), at);
        printer.json(&serde_json::json!({ "candidates": found }));
        let lines = found.into_iter().map(|(value, help)| match help {
            Some(help) => format!("{value}\t{help}"),
            None => value,
        });
        printer.raw(lines.collect::<Vec<_>>().join("\n"));
        return Ok(Exit::Done);
    }
    let script = match args.shell {
        Shell::Bash => completion::BASH.to_owned(),
        Shell::Zsh => completion::ZSH.to_owned(),
        Shell::Fish => completion::FISH.to_owned(),
        other => {
            // Into memory first: a reader that goes away early is no fault of the generator's.
            let mut script = Vec::new();
            clap_complete::generate(other, &mut root, "v6kit", &mut script);
            String::from_utf8_lossy(&script).into_owned()
        }
    };
    printer.json(&serde_json::json!({ "shell": args.shell.to_string(), "script": script }));
    printer.raw(script.trim_end());
    Ok(Exit::Done)
}
