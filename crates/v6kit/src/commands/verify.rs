//! `v6kit verify`.

use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The routed prefix
    #[arg(long, value_name = "P", value_parser = crate::args::prefix)]
    prefix: Option<v6kit_net::Prefix>,
    #[command(flatten)]
    state: crate::args::StateArgs,
}

pub(crate) fn run(_args: &VerifyArgs, _printer: &Printer) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
