//! Connections: names and their addresses, source addresses, proxies on the way, TLS, and an exchange of HTTP.

pub(crate) mod connection;
pub(crate) mod cookies;
pub(crate) mod internal;
pub(crate) mod memory;
pub(crate) mod names;
pub(crate) mod proxy;
pub(crate) mod rotation;
pub(crate) mod source_lease;
pub(crate) mod way_out;
