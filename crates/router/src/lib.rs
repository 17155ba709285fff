//! What a router must be told to route a prefix to this host and to spare it connection tracking:
//! rendered for many routers, and for OpenWrt pushed over ssh, checked and undone.
//!
//! The one source of what is installed is `openwrt/` in the repository; it is embedded here. What decides
//! on the router is its script: this crate validates values, runs the system's `ssh`, and reads JSON.

mod foreign;
mod openwrt;
mod own;
mod package;
mod router;
mod ssh;
mod status;
mod values;

pub use foreign::{Dialect, Foreign, render as render_for};
pub use openwrt::{Base, Follow, Ping, Rendering, TableSize, Tracking, Wanted, render};
pub use own::{OwnAddressError, is_on_link, own_link_local};
pub use package::{PackageFile, files};
pub use router::{Change, Check, Pushed, Removed, RouterError, check, push, remove};
pub use ssh::{Destination, Ssh, SshError};
pub use status::{Conntrack, Interface, Neighbours, Probe, RoutedPrefix, Status};
pub use values::{Chain, DeviceName, LinkLocal, Name, NextHop, SectionName, ValueError};
