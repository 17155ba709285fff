//! At boot and as a service: job files, the wish for the next boot, and the units under a real systemd.

mod job;
mod machine;
mod network;
mod persist;
mod services;
mod units;
