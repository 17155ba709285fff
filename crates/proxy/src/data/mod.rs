//! What everything else speaks about: destinations, user names, protocols, limits, refusals, client streams.

pub(crate) mod limits;
pub(crate) mod listen;
pub(crate) mod protocol;
pub(crate) mod refusal;
pub(crate) mod stream;
pub(crate) mod target;
pub(crate) mod username;
