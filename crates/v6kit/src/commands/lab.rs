//! `v6kit lab`.

use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct LabArgs {}

pub(crate) fn run(_args: LabArgs, _printer: &Printer) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
