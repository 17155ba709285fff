//! `v6kit completions`.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    v6kit completions bash > ~/.local/share/bash-completion/completions/v6kit\n  \
    v6kit completions fish > ~/.config/fish/completions/v6kit.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell to complete in
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, _printer: &Printer) -> Result<Exit, Failure> {
    clap_complete::generate(args.shell, &mut Args::command(), "v6kit", &mut io::stdout());
    Ok(Exit::Done)
}
