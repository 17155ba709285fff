//! setup, status and teardown on a host of its own, with a peer on the other end of a cable.

mod bars;
mod callers;
mod crash;
mod damage;
mod firewall;
mod hanging;
mod identity;
mod inside;
mod leftover;
mod line;
mod logins;
mod own;
mod quoting;
mod refusals;
mod restore;
mod rotation;
mod server;
mod shared;
mod untracked;
mod unwritable;

use crate::harness::{Run, in_namespace};

/// A host with an uplink `up0` and a peer in another network namespace, which routes two prefixes to the
/// host and serves callers their address.
const HOST: &str = include_str!("host.sh");

/// The peer serves callers their address on port 80.
const ECHO: &str = r#"
started in_peer "$V6KIT" echo --listen "[$PEER]:80"
"#;

/// Runs a script on such a host, and fails unless it succeeds.
#[track_caller]
fn on_host(script: &str) -> Run {
    in_namespace(&format!("{HOST}\n{script}")).expect(0)
}
