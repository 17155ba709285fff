//! The device, this host's addresses, its gateways and its neighbours, as the kernel tells them
//! (rtnetlink(7)), kept up to date by its notifications.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr};

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder};

use crate::NdpError;
use crate::wire::Mac;

/// What the kernel knows of the link.
pub(crate) struct Neighbourhood {
    device: String,
    handle: Handle,
    notifications: BoxStream<'static, Notification>,
    driver: tokio::task::JoinHandle<()>,
    known: Known,
}

/// A snapshot of it that can be asked without waiting.
#[derive(Debug, Default)]
struct Known {
    link: Option<Link>,
    /// Every IPv6 address of this host with the devices that have it, by index.
    addresses: HashMap<Ipv6Addr, HashMap<u32, Usable>>,
    gateways: HashSet<Ipv6Addr>,
    /// Neighbours on the device whose link-layer address is known and not known to be gone.
    neighbours: HashMap<Ipv6Addr, Mac>,
}

/// Something that has changed.
pub(crate) struct Notification(NetlinkMessage<RouteNetlinkMessage>);

/// The device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) mac: Mac,
    pub(crate) state: State,
}

/// Whether the device carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    Down,
}

/// Whether an address can be a source already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Usable {
    Yes,
    /// Tentative, or a duplicate of somebody else's.
    No,
}

/// Who has an address that is not ours to answer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The kernel answers for it.
    ThisHost,
    Gateway,
    Neighbour,
}

const LOOPBACK_INDEX: u32 = 1;

impl Drop for Neighbourhood {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Neighbourhood {
    /// Subscribes first and lists then, so that no change falls between.
    pub(crate) async fn watch(device: &str) -> Result<Self, NdpError> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv6Route,
            MulticastGroup::Neigh,
        ];
        let (connection, handle, notifications) =
            rtnetlink::new_multicast_connection(&groups).map_err(NdpError::Netlink)?;
        let driver = tokio::spawn(connection);
        let mut neighbourhood = Self {
            device: device.to_owned(),
            handle,
            notifications: notifications.map(|(message, _)| Notification(message)).boxed(),
            driver,
            known: Known::default(),
        };
        neighbourhood.check_device().await?;
        neighbourhood.list().await?;
        Ok(neighbourhood)
    }

    /// The device, or `None` while it does not exist.
    pub(crate) fn link(&self) -> Option<Link> {
        self.known.link
    }

    /// A link-local address of the device that may be a source.
    pub(crate) fn link_local(&self) -> Option<Ipv6Addr> {
        let index = self.known.link.as_ref()?.index;
        self.known
            .addresses
            .iter()
            .filter(|(address, devices)| {
                address.is_unicast_link_local() && devices.get(&index) == Some(&Usable::Yes)
            })
            .map(|(address, _)| *address)
            .min()
    }

    /// Who has `address` already, if anybody.
    pub(crate) fn holder(&self, address: Ipv6Addr) -> Option<Holder> {
        if self.is_ours(address) {
            Some(Holder::ThisHost)
        } else if self.known.gateways.contains(&address) {
            Some(Holder::Gateway)
        } else if self.known.neighbours.contains_key(&address) {
            Some(Holder::Neighbour)
        } else {
            None
        }
    }

    /// Whether this host has the address on a device of a link. Addresses on `lo` are like those of
    /// the routed prefix: nobody answers for them but us.
    pub(crate) fn is_ours(&self, address: Ipv6Addr) -> bool {
        self.known
            .addresses
            .get(&address)
            .is_some_and(|devices| devices.keys().any(|index| *index != LOOPBACK_INDEX))
    }

    /// Waits for a notification. Nothing is lost when this is cancelled.
    pub(crate) async fn notification(&mut self) -> Result<Notification, NdpError> {
        match self.notifications.next().await {
            Some(notification) => Ok(notification),
            None => {
                let ended = io::Error::new(io::ErrorKind::BrokenPipe, "the netlink socket was closed");
                Err(NdpError::Netlink(ended))
            }
        }
    }

    /// Takes in what has changed. Not to be cancelled.
    pub(crate) async fn take_in(&mut self, Notification(message): Notification) -> Result<(), NdpError> {
        match message.payload {
            NetlinkPayload::InnerMessage(message) => self.apply(message).await,
            // Notifications were lost: only a new list tells what is true.
            NetlinkPayload::Overrun(_) => {
                self.known = Known::default();
                self.list().await
            }
            _ => Ok(()),
        }
    }

    async fn apply(&mut self, message: RouteNetlinkMessage) -> Result<(), NdpError> {
        match message {
            RouteNetlinkMessage::NewLink(message) => {
                let seen = self.known.new_link(&self.device, &message);
                return match seen {
                    Seen::AnotherDevice => self.list().await,
                    Seen::TheSame => Ok(()),
                };
            }
            RouteNetlinkMessage::DelLink(message) => self.known.del_link(&message),
            RouteNetlinkMessage::NewAddress(message) => self.known.new_address(&message),
            RouteNetlinkMessage::DelAddress(message) => self.known.del_address(&message),
            RouteNetlinkMessage::NewNeighbour(message) => self.known.new_neighbour(&message),
            RouteNetlinkMessage::DelNeighbour(message) => self.known.del_neighbour(&message),
            RouteNetlinkMessage::NewRoute(message) | RouteNetlinkMessage::DelRoute(message)
                if has_gateway(&message) =>
            {
                return self.list_gateways().await;
            }
            _ => {}
        }
        Ok(())
    }

    async fn list(&mut self) -> Result<(), NdpError> {
        let mut links = self.handle.link().get().execute();
        while let Some(message) = links.try_next().await.map_err(netlink)? {
            self.known.new_link(&self.device, &message);
        }
        drop(links);
        let mut addresses = self.handle.address().get().execute();
        while let Some(message) = addresses.try_next().await.map_err(netlink)? {
            self.known.new_address(&message);
        }
        drop(addresses);
        let neighbours = self.handle.neighbours().get();
        let mut neighbours = neighbours.set_address_family(AddressFamily::Inet6).execute();
        while let Some(message) = neighbours.try_next().await.map_err(netlink)? {
            self.known.new_neighbour(&message);
        }
        drop(neighbours);
        self.list_gateways().await
    }

    async fn list_gateways(&mut self) -> Result<(), NdpError> {
        let all = RouteMessageBuilder::<Ipv6Addr>::new().build();
        let routes: Vec<RouteMessage> = self
            .handle
            .route()
            .get(all)
            .execute()
            .try_collect()
            .await
            .map_err(netlink)?;
        self.known.gateways = routes.iter().flat_map(gateways).collect();
        Ok(())
    }

    /// Says clearly why a device is the wrong one.
    async fn check_device(&self) -> Result<(), NdpError> {
        let links: Vec<LinkMessage> = self
            .handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(netlink)?;
        let device = self.device.clone();
        let Some(link) = links.iter().find(|link| name(link) == Some(&device)) else {
            let others = links.iter().filter_map(name).filter(|name| *name != "lo");
            let others = others.map(ToOwned::to_owned).collect();
            return Err(NdpError::NoDevice { device, others });
        };
        if link.header.link_layer_type != LinkLayerType::Ether || link.header.flags.contains(LinkFlags::Noarp)
        {
            return Err(NdpError::NoNeighbours { device });
        }
        if let Some(upper) = port_of(link, &links) {
            return Err(NdpError::Port { device, upper });
        }
        Ok(())
    }
}

/// Whether a link message showed that the device is another one than before.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// The same, or one that is nobody's business.
    TheSame,
    /// The name belongs to another index now.
    AnotherDevice,
}

impl Known {
    fn new_link(&mut self, device: &str, message: &LinkMessage) -> Seen {
        let index = message.header.index;
        let before = self.link.as_ref().map(|link| link.index);
        if name(message).is_some_and(|name| name != device) {
            if before == Some(index) {
                // Renamed: the device that we were told to use is gone.
                self.forget_link();
            }
            return Seen::TheSame;
        }
        let mac = message.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Address(bytes) => Mac::try_from(bytes.as_slice()).ok(),
            _ => None,
        });
        let (Some(_), Some(mac)) = (name(message), mac) else {
            return Seen::TheSame;
        };
        let carries = LinkFlags::Up | LinkFlags::LowerUp;
        let state = if message.header.flags.contains(carries) {
            State::Up
        } else {
            State::Down
        };
        self.link = Some(Link { index, mac, state });
        if before == Some(index) {
            return Seen::TheSame;
        }
        self.neighbours.clear();
        Seen::AnotherDevice
    }

    fn del_link(&mut self, message: &LinkMessage) {
        let index = message.header.index;
        // A port that leaves its bridge is told as a deleted link of the bridge family.
        if message.header.interface_family != AddressFamily::Unspec {
            return;
        }
        self.addresses.retain(|_, devices| {
            devices.remove(&index);
            !devices.is_empty()
        });
        if self.link.as_ref().is_some_and(|link| link.index == index) {
            self.forget_link();
        }
    }

    fn forget_link(&mut self) {
        self.link = None;
        self.neighbours.clear();
    }

    fn new_address(&mut self, message: &AddressMessage) {
        if let Some(address) = address_of(message) {
            let devices = self.addresses.entry(address).or_default();
            devices.insert(message.header.index, usable(message));
        }
    }

    fn del_address(&mut self, message: &AddressMessage) {
        let Some(address) = address_of(message) else {
            return;
        };
        if let Some(devices) = self.addresses.get_mut(&address) {
            devices.remove(&message.header.index);
            if devices.is_empty() {
                self.addresses.remove(&address);
            }
        }
    }

    fn new_neighbour(&mut self, message: &NeighbourMessage) {
        let Some((address, mac)) = self.neighbour_on_link(message) else {
            return;
        };
        let gone = matches!(
            message.header.state,
            NeighbourState::Failed | NeighbourState::Incomplete | NeighbourState::None
        );
        match mac {
            Some(mac) if !gone => {
                self.neighbours.insert(address, mac);
            }
            _ => {
                self.neighbours.remove(&address);
            }
        }
    }

    fn del_neighbour(&mut self, message: &NeighbourMessage) {
        if let Some((address, _)) = self.neighbour_on_link(message) {
            self.neighbours.remove(&address);
        }
    }

    /// The address and link-layer address of a neighbour on the device that is not ourselves.
    fn neighbour_on_link(&self, message: &NeighbourMessage) -> Option<(Ipv6Addr, Option<Mac>)> {
        let link = self.link.as_ref()?;
        if message.header.ifindex != link.index {
            return None;
        }
        let address = message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(*address),
            _ => None,
        })?;
        let mac = message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => Mac::try_from(bytes.as_slice()).ok(),
            _ => None,
        });
        Some((address, mac.filter(|mac| *mac != link.mac)))
    }
}

fn address_of(message: &AddressMessage) -> Option<Ipv6Addr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(IpAddr::V6(address)) => Some(*address),
        _ => None,
    })
}

fn usable(message: &AddressMessage) -> Usable {
    let unusable = AddressFlags::Tentative | AddressFlags::Dadfailed;
    let flags = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    match flags {
        Some(flags) if flags.intersects(unusable) && !flags.contains(AddressFlags::Optimistic) => Usable::No,
        _ => Usable::Yes,
    }
}

fn name(link: &LinkMessage) -> Option<&String> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name),
        _ => None,
    })
}

/// The bridge, bond or team that takes all packets of `link`, so that its sockets hear nothing.
fn port_of(link: &LinkMessage, links: &[LinkMessage]) -> Option<String> {
    let takes_packets = link.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().any(|info| {
            matches!(
                info,
                LinkInfo::PortKind(InfoPortKind::Bridge | InfoPortKind::Bond | InfoPortKind::Team)
            )
        }),
        _ => false,
    });
    let upper = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Controller(index) => Some(*index),
        _ => None,
    })?;
    let upper = links.iter().find(|link| link.header.index == upper)?;
    name(upper).filter(|_| takes_packets).cloned()
}

fn has_gateway(route: &RouteMessage) -> bool {
    gateways(route).next().is_some()
}

/// The gateways of a route, one per next hop.
fn gateways(route: &RouteMessage) -> impl Iterator<Item = Ipv6Addr> + '_ {
    let hops = route.attributes.iter().filter_map(|attribute| match attribute {
        RouteAttribute::MultiPath(hops) => Some(hops.iter().flat_map(|hop| &hop.attributes)),
        _ => None,
    });
    route
        .attributes
        .iter()
        .chain(hops.flatten())
        .filter_map(|attribute| match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet6(gateway)) => Some(*gateway),
            _ => None,
        })
}

fn netlink(error: rtnetlink::Error) -> NdpError {
    NdpError::Netlink(match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    })
}
