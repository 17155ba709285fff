//! Whether this host takes the prefix for its own.

use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use v6kit_net::{Code, Prefix};

use crate::report::Check;
use crate::routes::{Device, Routes, RoutesError};

const NONLOCAL_BIND: &str = "/proc/sys/net/ipv6/ip_nonlocal_bind";

/// What the kernel does with addresses of the prefix.
#[derive(Debug)]
pub(crate) struct Local {
    prefix: Prefix,
    /// The device of the local route.
    route: Option<Device>,
    bound: io::Result<()>,
}

impl Local {
    /// Looks at the routes, and binds a socket to `address`.
    pub(crate) async fn look(
        routes: &Routes,
        prefix: Prefix,
        address: Ipv6Addr,
    ) -> Result<Self, RoutesError> {
        Ok(Self {
            prefix,
            route: routes.local(prefix).await?,
            bound: bind(address),
        })
    }

    /// Whether packets to the prefix are delivered here.
    pub(crate) fn is_delivered(&self) -> bool {
        self.route.is_some()
    }

    /// Whether connections can be made from the prefix and their answers can arrive.
    pub(crate) fn is_set_up(&self) -> bool {
        self.is_delivered() && self.bound.is_ok()
    }

    /// The local route.
    pub(crate) fn route_check(&self) -> Check {
        const ID: &str = "route";
        let prefix = self.prefix;
        match &self.route {
            None => Check::failed(
                ID,
                format!("no local route covers {prefix}: answers to its addresses would be dropped"),
            ),
            Some(device) if device.name == "lo" => Check::ok(
                ID,
                format!("{prefix} is delivered to this host (local route on lo)"),
            ),
            Some(device) => Check::warning(
                ID,
                format!(
                    "the local route for {prefix} is on {0}: it goes away when {0} goes down",
                    device.name
                ),
            )
            .hint(
                Code::DeviceDown,
                format!(
                    "`sudo v6kit setup --prefix {prefix} --dev {}` adds one on lo that stays",
                    device.name
                ),
            ),
        }
    }

    /// Binding to addresses that are not configured.
    pub(crate) fn bind_check(&self) -> Check {
        const ID: &str = "bind";
        match &self.bound {
            Ok(()) => Check::ok(
                ID,
                format!("sockets can bind to any address of it{}", others_too()),
            ),
            Err(error) => Check::failed(ID, format!("sockets cannot bind to its addresses: {error}")).hint(
                Code::SourceNotLocal,
                "check that IPv6 is enabled, and that this container or sandbox allows IP_FREEBIND",
            ),
        }
    }
}

/// Binds as connections do: without any privilege (IP_FREEBIND, ip(7)).
fn bind(address: Ipv6Addr) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    setsockopt(&socket, sockopt::IpFreebind, &true)?;
    setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
    socket.bind(&SocketAddrV6::new(address, 0, 0, 0).into())
}

/// What holds for programs that do not set IP_FREEBIND.
fn others_too() -> &'static str {
    match fs::read_to_string(NONLOCAL_BIND) {
        Ok(value) if value.trim() == "1" => ", those of other programs too (ip_nonlocal_bind is 1)",
        Ok(_) => "; other programs need ip_nonlocal_bind=1, which is 0",
        Err(_) => "",
    }
}
