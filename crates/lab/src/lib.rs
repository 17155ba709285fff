//! A host, a router and a target in network namespaces on the real kernel, without root and without a
//! trace afterwards.
//!
//! ```no_run
//! # fn main() -> Result<(), v6kit_lab::LabError> {
//! use v6kit_lab::{Isolation, Lab, LabCommand, LabSettings, Topology, isolate};
//!
//! let entered = match isolate()? {
//!     Isolation::Ended(_status) => return Ok(()),
//!     Isolation::Entered(entered) => entered,
//! };
//! let settings = LabSettings {
//!     topology: Topology::Routed,
//!     prefix: "2001:db8:6::/64".parse().expect("a prefix"),
//!     limit: None,
//! };
//! let lab = Lab::build(&settings)?;
//! lab.run(&entered, &LabCommand::new(vec!["bash".into()]))?;
//! # Ok(())
//! # }
//! ```

mod command;
pub mod demo;
mod error;
mod firewall;
mod isolate;
mod lab;
mod mounts;
mod netns;
mod shell;
mod signals;
mod target;
mod topology;
mod wire;

pub use command::LabCommand;
pub use error::{LabError, Refusal};
pub use isolate::{Entered, Isolation, isolate};
pub use lab::{Lab, LabSettings};
pub use netns::NetNs;
pub use shell::is_shell;
pub use topology::Topology;
