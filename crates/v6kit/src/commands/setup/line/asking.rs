//! What asks for root: sudo(8) or doas(1).

use std::path::PathBuf;

use crate::asker::in_path;
use crate::failure::{Exit, Failure};

/// Those that run a program as root and leave it its process group's terminal. run0 is none of them: it ends what it
/// started together with the program.
const TOOLS: [&str; 2] = ["sudo", "doas"];

/// The one that is installed.
pub(super) fn tool() -> Result<PathBuf, Failure> {
    TOOLS.iter().find_map(|tool| in_path(tool)).ok_or_else(|| {
        Failure::new(Exit::NotRun, "the command did not run")
            .why("setting up needs root, and neither sudo nor doas is installed")
            .hint("run the same as root; `--as USER` then runs the command as a user")
            .code(v6kit_net::Code::NotPermitted)
    })
}
