//! Proof that connections leave from the addresses of a prefix: the server that tells callers their
//! address, the probe that asks it, and the diagnosis of what goes wrong in between.

pub mod echo;
