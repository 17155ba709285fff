//! The proxy, used by other people's programs in the lab.

mod access;
mod bytes;
mod datagrams;
mod ends;
mod forms;
mod host;
mod messages;
mod pace;
mod programs;
mod refusals;
mod service;
mod sessions;
mod waves;

use crate::harness::{Run, in_lab, repository};

/// Runs a script on the host side of the lab, with the functions of `proxy.bash`.
#[track_caller]
fn lab(script: &str) -> Run {
    let tests = repository().join("tests");
    let functions = include_str!("proxy.bash");
    in_lab(
        "routed",
        &format!(
            "{functions}\nexport PYTHONPATH='{0}/proxy:{0}/harness'\n{script}",
            tests.display()
        ),
    )
}

/// Runs Python against a proxy started with `arguments` after `prepare`, with the clients of `wire.py`.
#[track_caller]
fn wire(arguments: &str, prepare: &str, python: &str) -> Run {
    lab(&format!(
        "{prepare}
        proxy {arguments}
        cat > \"$T/client.py\" <<'PY'
from wire import *
{python}
PY
        python3 \"$T/client.py\" \"$at\" \"$T\"
        "
    ))
}
