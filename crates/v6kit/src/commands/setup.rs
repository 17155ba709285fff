//! `v6kit setup`.

use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct SetupArgs {}

pub(crate) fn run(_args: &SetupArgs, _printer: &Printer) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
