//! What the kernel's routing tables say, read without privileges (rtnetlink(7)).

use std::io;
use std::net::Ipv6Addr;

use futures_util::{TryStreamExt, pin_mut};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};
use v6kit_net::{Code, Hint, Prefix};

/// Why the kernel's routing tables cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoutesError {
    /// No netlink socket.
    #[error("the kernel's routing interface (netlink) cannot be opened")]
    Open(#[source] io::Error),
    /// A request failed.
    #[error("the kernel refused to {action}")]
    Request {
        /// What was asked for.
        action: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl Hint for RoutesError {
    fn code(&self) -> Code {
        match self {
            Self::Open(_) | Self::Request { .. } => Code::Netlink,
        }
    }

    fn hint(&self) -> Option<String> {
        Some("check that this container or sandbox allows netlink sockets".to_owned())
    }
}

/// The kernel's routing tables.
#[derive(Debug)]
pub(crate) struct Routes {
    handle: Handle,
    driver: tokio::task::JoinHandle<()>,
}

/// How packets leave towards a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WayOut {
    pub(crate) device: Device,
    /// `None` where the destination is on the link.
    pub(crate) gateway: Option<Ipv6Addr>,
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) index: u32,
    pub(crate) name: String,
}

impl Device {
    /// The device of that name, or `None` where there is none.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let index = nix::net::if_::if_nametoindex(name).ok()?;
        Some(Self {
            index,
            name: name.to_owned(),
        })
    }

    /// The link-local address of this host on the device.
    pub(crate) fn link_local(&self) -> Option<Ipv6Addr> {
        nix::ifaddrs::getifaddrs()
            .ok()?
            .filter(|interface| interface.interface_name == self.name)
            .filter_map(|interface| Some(interface.address?.as_sockaddr_in6()?.ip()))
            .find(Ipv6Addr::is_unicast_link_local)
    }

    fn of(route: &RouteMessage) -> Option<Self> {
        let index = route.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        })?;
        let name = nix::net::if_::if_indextoname(index).ok()?;
        Some(Self {
            index,
            name: name.to_string_lossy().into_owned(),
        })
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Routes {
    pub(crate) fn open() -> Result<Self, RoutesError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(RoutesError::Open)?;
        let driver = tokio::spawn(connection);
        Ok(Self { handle, driver })
    }

    /// The device of a local route, in any table, that covers all of `prefix`: packets to its addresses
    /// are delivered to this host.
    pub(crate) async fn local(&self, prefix: Prefix) -> Result<Option<Device>, RoutesError> {
        let every = RouteMessageBuilder::<Ipv6Addr>::new().build();
        let routes = self.handle.route().get(every).execute();
        pin_mut!(routes);
        while let Some(route) = routes.try_next().await.map_err(failed("list routes"))? {
            if route.header.kind == RouteType::Local && covers(&route, prefix) {
                return Ok(Device::of(&route));
            }
        }
        Ok(None)
    }

    /// How packets leave towards `to`. `None` where there is no route.
    pub(crate) async fn way_out(&self, to: Ipv6Addr) -> Result<Option<WayOut>, RoutesError> {
        let question = RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(to, 128)
            .build();
        let answers = self.handle.route().get(question).execute();
        pin_mut!(answers);
        let answer = match answers.try_next().await {
            Ok(answer) => answer,
            Err(rtnetlink::Error::NetlinkError(message)) if is_no_route(&message.to_io()) => None,
            Err(error) => return Err(failed("look up a route")(error)),
        };
        Ok(answer.and_then(|route| {
            Some(WayOut {
                device: Device::of(&route)?,
                gateway: gateway(&route),
            })
        }))
    }
}

fn covers(route: &RouteMessage, prefix: Prefix) -> bool {
    let length = route.header.destination_prefix_length;
    let destination = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(*address),
            _ => None,
        })
        .unwrap_or(Ipv6Addr::UNSPECIFIED);
    length <= prefix.length() && Prefix::around(prefix.network(), length).network() == destination
}

fn gateway(route: &RouteMessage) -> Option<Ipv6Addr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet6(address)) => Some(*address),
        _ => None,
    })
}

fn is_no_route(error: &io::Error) -> bool {
    use nix::errno::Errno;
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES | Errno::EINVAL)
    )
}

fn failed(action: &'static str) -> impl FnOnce(rtnetlink::Error) -> RoutesError {
    move |error| RoutesError::Request {
        action,
        source: match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other),
        },
    }
}
