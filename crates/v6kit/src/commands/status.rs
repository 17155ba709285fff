//! `v6kit status`.

use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {}

pub(crate) fn run(_args: &StatusArgs, _printer: &Printer) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
