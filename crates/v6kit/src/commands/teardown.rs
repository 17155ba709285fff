//! `v6kit teardown`.

use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct TeardownArgs {}

pub(crate) fn run(_args: &TeardownArgs, _printer: &Printer) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
