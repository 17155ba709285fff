//! Answers neighbour solicitations for a prefix that is on-link rather than routed.
//!
//! Where a prefix is merely on-link, the router asks for the link-layer address of every single address
//! in it, and the kernel answers for configured ones only. [`Responder`] answers for the rest, as far
//! as they are this host's to answer for.
//!
//! Nothing here prints, reads the environment or exits.

mod answered;
mod counters;
mod error;
mod event;
mod filter;
mod inventory;
mod neighbourhood;
mod privileges;
mod responder;
mod settings;
mod singleton;
mod socket;
mod socket_scan;
mod source;
mod throttled;
mod usage;
mod wire;

pub use counters::{Cause, Counters, Counts};
pub use error::NdpError;
pub use event::{Event, Verdict};
pub use privileges::keep_only_net_raw;
pub use responder::Responder;
pub use settings::{Scope, Settings, Snooping, Summary};
pub use singleton::{SingletonLock, answered_prefixes};
pub use source::{Source, SourceWish};
pub use wire::{ALL_NODES, Advertisement, Flags, Invalid, Kind, Mac, MulticastRouter, Solicitation};
