//! What the kernel's routing tables say, read without privileges (rtnetlink(7)).

use std::io;
use std::net::Ipv6Addr;

use futures_util::{TryStreamExt, pin_mut};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::rule::RuleMessage;
use rtnetlink::{Handle, IpVersion, RouteMessageBuilder};
use v6kit_net::{Code, Hint, Prefix};

use crate::rules;

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

/// What is looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The source; `None` for a socket that is not bound.
    pub(crate) from: Option<Ipv6Addr>,
    pub(crate) to: Ipv6Addr,
    /// The device that the packet comes in by; `None` for what this host sends itself.
    pub(crate) arriving_by: Option<&'a Device>,
}

/// The kernel's answer to a look-up.
#[derive(Debug)]
pub(crate) enum Way {
    /// It is sent on.
    Out(WayOut),
    /// It is delivered to this host.
    Here,
    /// There is none, or one that discards packets.
    Nowhere(io::Error),
}

impl Way {
    pub(crate) fn out(self) -> Option<WayOut> {
        match self {
            Self::Out(way) => Some(way),
            Self::Here | Self::Nowhere(_) => None,
        }
    }
}

/// An IPv6 address of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnAddress {
    pub(crate) address: Ipv6Addr,
    pub(crate) length: u8,
    /// The index of its device.
    pub(crate) device: u32,
    /// Its preferred lifetime is over (RFC 4862 section 5.5.4).
    pub(crate) is_deprecated: bool,
    /// It was given by an administrator, without a lifetime.
    pub(crate) is_permanent: bool,
    /// It is a privacy address (RFC 8981), which changes.
    pub(crate) is_temporary: bool,
}

/// How packets leave towards a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WayOut {
    pub(crate) device: Device,
    /// `None` where the destination is on the link.
    pub(crate) gateway: Option<Ipv6Addr>,
}

/// What is known of a next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextHop {
    /// Nothing.
    Unknown,
    /// The kernel has never had a packet to send to it.
    NotAsked,
    /// It answers neighbour solicitations.
    Answers,
    /// It does not.
    Silent,
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

    /// How packets leave from this host towards `to`. `None` where there is no route.
    pub(crate) async fn way_out(&self, to: Ipv6Addr) -> Result<Option<WayOut>, RoutesError> {
        let question = Question {
            from: None,
            to,
            arriving_by: None,
        };
        Ok(self.look_up(question).await?.out())
    }

    /// What the kernel would do with a packet, policy rules included.
    pub(crate) async fn look_up(&self, question: Question<'_>) -> Result<Way, RoutesError> {
        let mut message = RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(question.to, 128);
        if let Some(from) = question.from {
            message = message.source_prefix(from, 128);
        }
        if let Some(device) = question.arriving_by {
            message = message.input_interface(device.index);
        }
        let answers = self.handle.route().get(message.build()).execute();
        pin_mut!(answers);
        let nowhere = || Ok(Way::Nowhere(io::ErrorKind::NetworkUnreachable.into()));
        let route = match answers.try_next().await {
            Ok(Some(route)) => route,
            Ok(None) => return nowhere(),
            Err(rtnetlink::Error::NetlinkError(message)) if is_no_route(&message.to_io()) => {
                return Ok(Way::Nowhere(message.to_io()));
            }
            Err(error) => return Err(failed("look up a route")(error)),
        };
        match (route.header.kind, Device::of(&route)) {
            (RouteType::Local, _) => Ok(Way::Here),
            (RouteType::Unicast, Some(device)) => Ok(Way::Out(WayOut {
                device,
                gateway: gateway(&route),
            })),
            _ => nowhere(),
        }
    }

    /// The policy rules (ip-rule(8)) that treat packets of `prefix`, or what comes in by `device`, differently from
    /// others, as `ip -6 rule` writes them.
    pub(crate) async fn rules_about(
        &self,
        prefix: Prefix,
        device: Option<&Device>,
    ) -> Result<Vec<String>, RoutesError> {
        let found: Vec<RuleMessage> = self
            .handle
            .rule()
            .get(IpVersion::V6)
            .execute()
            .try_collect()
            .await
            .map_err(failed("list policy rules"))?;
        let device = device.map(|device| device.name.as_str());
        Ok(found
            .iter()
            .filter(|rule| rules::is_about(rule, prefix, device))
            .map(rules::text)
            .collect())
    }

    /// The IPv6 addresses of this host.
    pub(crate) async fn addresses(&self) -> Result<Vec<OwnAddress>, RoutesError> {
        let found: Vec<AddressMessage> = self
            .handle
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(failed("list addresses"))?;
        Ok(found.iter().filter_map(own_address).collect())
    }

    /// What is known of `next_hop` as a neighbour on `device`.
    pub(crate) async fn next_hop(&self, next_hop: Ipv6Addr, device: &Device) -> Result<NextHop, RoutesError> {
        let neighbours = self.handle.neighbours().get();
        let found: Vec<NeighbourMessage> = neighbours
            .set_address_family(AddressFamily::Inet6)
            .execute()
            .try_collect()
            .await
            .map_err(failed("list neighbours"))?;
        let entry = found
            .iter()
            .find(|entry| entry.header.ifindex == device.index && destination(entry) == Some(next_hop));
        Ok(match entry.map(|entry| entry.header.state) {
            None => NextHop::NotAsked,
            Some(NeighbourState::Failed | NeighbourState::Incomplete) => NextHop::Silent,
            Some(NeighbourState::None | NeighbourState::Other(_)) => NextHop::Unknown,
            Some(_) => NextHop::Answers,
        })
    }
}

fn own_address(message: &AddressMessage) -> Option<OwnAddress> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(std::net::IpAddr::V6(address)) => Some(*address),
        _ => None,
    })?;
    let flags = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    let header = message.header.flags;
    // The low eight flags stand in the header as well.
    let has = |flag: AddressFlags| match flags {
        Some(flags) => flags.contains(flag),
        None => u32::from(header.bits()) & flag.bits() != 0,
    };
    Some(OwnAddress {
        address,
        length: message.header.prefix_len,
        device: message.header.index,
        is_deprecated: has(AddressFlags::Deprecated),
        is_permanent: has(AddressFlags::Permanent),
        // IFA_F_TEMPORARY has the number of IFA_F_SECONDARY, which IPv6 addresses never are.
        is_temporary: has(AddressFlags::Secondary),
    })
}

fn destination(entry: &NeighbourMessage) -> Option<Ipv6Addr> {
    entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(*address),
        _ => None,
    })
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
