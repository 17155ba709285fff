//! The proxy, used by other people's programs in the lab.

mod forms;

use crate::harness::{Run, in_lab};

/// Runs a script on the host side of the lab, with the functions of `proxy.bash`.
#[track_caller]
fn lab(script: &str) -> Run {
    in_lab("routed", &format!("{}\n{script}", include_str!("proxy.bash")))
}
