//! `v6kit echo`.

use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct EchoArgs {}

pub(crate) fn run(_args: &EchoArgs, _printer: &Printer) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
