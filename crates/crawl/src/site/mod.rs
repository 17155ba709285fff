//! What is known about a destination: how fast it may be asked, whether it is well, what its robots.txt says, the
//! connections to it, and the items that wait for it.

pub(crate) mod brake;
mod destination;
pub(crate) mod dialling;
pub(crate) mod drain;
pub(crate) mod health;
mod local;
pub(crate) mod pace;
pub(crate) mod robots;
mod robots_text;
mod sites;
mod tracking;
pub(crate) mod waiting_room;

pub(crate) use destination::{DestinationSettings, Destinations, Reached};
pub(crate) use local::{Departure, Site};
pub(crate) use sites::Sites;
