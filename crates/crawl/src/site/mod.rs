//! What is known about a destination: how fast it may be asked, whether it is well, what its robots.txt says, the
//! connections to it, and the items that wait for it.

pub(crate) mod breaker;
mod busy;
pub(crate) mod connects;
mod conntrack;
mod destination;
pub(crate) mod dialling;
pub(crate) mod drain;
pub(crate) mod host_queue;
pub(crate) mod idle;
mod local;
pub(crate) mod outage;
mod permit;
pub(crate) mod rate;
pub(crate) mod reach;
pub(crate) mod robots;
mod robots_rules;
mod sites;

pub(crate) use destination::{DestinationSettings, Destinations, Reached};
pub(crate) use local::Site;
pub(crate) use permit::Permit;
pub(crate) use sites::Sites;
