//! Runs a program whose connections leave from addresses of a prefix, whatever the program is: without root, without
//! touching it, and without a proxy.
//!
//! The program runs under a seccomp filter that shows the calls which choose where packets leave from to a supervisor
//! (seccomp_unotify(2)). The supervisor takes the socket in question, binds it to an address of the prefix, and lets the
//! call go on. Three processes stand around the program: the *front*, which was started in its place, passes signals on
//! and ends as it did; the *supervisor*, below the front and above the program; and between them the *watcher*, which
//! ends what the supervisor served when that dies.
//!
//! An arrow from left to right: kernel, filter, call; then destination, socket, sources; then policy, tally and log; then
//! supervise; then start, watch and front. Nothing here prints.

mod call;
mod destination;
mod error;
mod filter;
mod front;
mod kernel;
mod log;
mod pending;
mod policy;
mod process;
mod settings;
mod signals;
mod socket;
mod sources;
mod start;
mod supervise;
mod tally;
mod trial;
mod watch;

pub use error::ExecError;
pub use front::{Ended, end_like, run};
pub use settings::{Ipv4, Per, Pool, Settings};
pub use tally::{Note, Status, Tally};
pub use trial::{Unavailable, look, try_out};
