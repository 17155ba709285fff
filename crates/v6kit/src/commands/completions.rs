//! `v6kit completions`.

use clap_complete::Shell;

use crate::failure::Exit;
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    v6kit completions bash > ~/.local/share/bash-completion/completions/v6kit\n  \
    v6kit completions fish > ~/.config/fish/completions/v6kit.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell to complete in
    shell: Shell,
}

/// Prints the script that completes `root`, the whole command line.
pub(crate) fn run(
    args: &CompletionsArgs,
    mut root: clap::Command,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    // Into memory first: a reader that goes away early is no fault of the generator's.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut root, "v6kit", &mut script);
    let script = String::from_utf8_lossy(&script);
    printer.json(&serde_json::json!({ "shell": args.shell.to_string(), "script": script }));
    printer.line(script.trim_end());
    Ok(Exit::Done)
}
