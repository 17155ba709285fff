//! Programs that know nothing of it, run from the prefix in the lab.

mod doors;
mod ends;
mod programs;
mod said;

use crate::harness::{Run, in_lab};

/// Runs a script on the host side of the lab, with the functions of `exec.bash`.
#[track_caller]
fn lab(script: &str) -> Run {
    in_lab("routed", &format!("{}\n{script}", include_str!("exec.bash")))
}
