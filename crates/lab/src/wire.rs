//! Cables, addresses and routes between host, router and target.
//!
//! ```text
//!   host  eth0 2001:db8:1::2 ---- 2001:db8:1::1 lan  router  wan 2001:db8:80::1 ---- 2001:db8:80::80 eth0  target
//! ```

use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags};
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute, State};
use netlink_packet_route::route::RouteType;
use netlink_packet_route::rule::RuleAction;
use rtnetlink::{Handle, LinkUnspec, LinkVeth, MulticastGroup, RouteMessageBuilder};
use v6kit_net::Prefix;

use crate::error::LabError;
use crate::netns::{NetNs, runtime};
use crate::topology::{Topology, WayBack};

/// The host's device, and the target's.
pub(crate) const DEVICE: &str = "eth0";
const LAN: &str = "lan";
const WAN: &str = "wan";

/// The host's own address, outside the prefix.
pub(crate) const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);
/// The host's gateway.
pub(crate) const ROUTER_LAN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
/// The target's gateway.
pub(crate) const ROUTER_WAN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x80, 0, 0, 0, 0, 1);
/// Where the target listens.
pub(crate) const TARGET: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x80, 0, 0, 0, 0, 0x80);
/// The length of the links' own networks.
const LINK: u8 = 64;

/// Longer than any kernel takes to bring up a pair of virtual devices, even on a busy machine.
const READY: Duration = Duration::from_secs(20);

/// Connects the namespaces and waits until packets can flow.
pub(crate) fn connect(host: &NetNs, router: &NetNs, target: &NetNs) -> Result<(), LabError> {
    for namespace in [host, router, target] {
        // Addresses are usable at once: there is nobody on these links to have taken them.
        namespace.set("conf/all/disable_ipv6", "0")?;
        namespace.set("conf/default/disable_ipv6", "0")?;
        namespace.set("conf/default/accept_dad", "0")?;
    }
    router.set("conf/all/forwarding", "1")?;
    cable((host, DEVICE), (router, LAN))?;
    cable((router, WAN), (target, DEVICE))?;
    attach(host, &[(DEVICE, HOST)])?;
    attach(router, &[(LAN, ROUTER_LAN), (WAN, ROUTER_WAN)])?;
    attach(target, &[(DEVICE, TARGET)])?;
    // A link is ready only when both of its ends are up.
    wait_until_ready(host, &[(DEVICE, HOST)])?;
    wait_until_ready(router, &[(LAN, ROUTER_LAN), (WAN, ROUTER_WAN)])?;
    wait_until_ready(target, &[(DEVICE, TARGET)])?;
    default_route(host, ROUTER_LAN)?;
    default_route(target, ROUTER_WAN)
}

/// Makes the router treat the prefix as `topology` says, except for its firewall.
pub(crate) fn route_prefix(router: &NetNs, topology: Topology, prefix: Prefix) -> Result<(), LabError> {
    router.netlink(async |netlink| {
        let route =
            RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(prefix.network(), prefix.length());
        let route = match topology.way_back() {
            WayBack::ThroughHost => route.gateway(HOST),
            WayBack::OnLink => route.output_interface(index(&netlink, LAN).await?),
            WayBack::Nowhere => route.kind(RouteType::BlackHole),
        };
        let added = netlink.route().add(route.build()).execute().await;
        added.map_err(failed(format!("add the router's route to {prefix}")))?;
        if topology == Topology::Filtered {
            prohibit(&netlink, prefix).await?;
        }
        Ok(())
    })
}

/// The kernel answers packets that such a rule matches with "administratively prohibited".
async fn prohibit(netlink: &Handle, prefix: Prefix) -> Result<(), LabError> {
    let rule = netlink.rule().add().v6();
    rule.source_prefix(prefix.network(), prefix.length())
        .action(RuleAction::Prohibit)
        .priority(100)
        .execute()
        .await
        .map_err(failed(format!("prohibit packets from {prefix}")))
}

/// A pair of virtual devices, one end in each namespace.
fn cable(one: (&NetNs, &str), other: (&NetNs, &str)) -> Result<(), LabError> {
    let far_end = LinkUnspec::new_with_name(other.1)
        .setns_by_fd(other.0.as_fd().as_raw_fd())
        .build();
    let pair = LinkVeth::new(one.1, other.1)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)))
        .build();
    let what = format!("connect {} and {}", one.0.name(), other.0.name());
    one.0
        .netlink(async |netlink| netlink.link().add(pair).execute().await.map_err(failed(what)))
}

/// Gives each device its address and brings it up, `lo` included.
fn attach(namespace: &NetNs, devices: &[(&str, Ipv6Addr)]) -> Result<(), LabError> {
    namespace.netlink(async |netlink| {
        bring_up(&netlink, "lo").await?;
        for &(device, address) in devices {
            let index = index(&netlink, device).await?;
            let mut request = netlink.address().add(index, address.into(), LINK);
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
            let added = request.execute().await;
            added.map_err(failed(format!("give {address} to {device}")))?;
            bring_up(&netlink, device).await?;
        }
        Ok(())
    })
}

async fn bring_up(netlink: &Handle, device: &str) -> Result<(), LabError> {
    let up = LinkUnspec::new_with_name(device).up().build();
    let changed = netlink.link().change(up).execute().await;
    changed.map_err(failed(format!("bring {device} up")))
}

fn default_route(namespace: &NetNs, gateway: Ipv6Addr) -> Result<(), LabError> {
    namespace.netlink(async |netlink| {
        let route = RouteMessageBuilder::<Ipv6Addr>::new().gateway(gateway).build();
        let added = netlink.route().add(route).execute().await;
        added.map_err(failed(format!("add a default route through {gateway}")))
    })
}

async fn index(netlink: &Handle, device: &str) -> Result<u32, LabError> {
    let mut links = netlink.link().get().match_name(device).execute();
    let found = links.try_next().await.map_err(failed(format!("find {device}")))?;
    found.map(|link| link.header.index).ok_or_else(|| {
        LabError::system(
            format!("find {device}"),
            std::io::Error::from(std::io::ErrorKind::NotFound),
        )
    })
}

/// Waits until the devices can send and their addresses can be used, looking again whenever the kernel
/// announces a change.
fn wait_until_ready(namespace: &NetNs, devices: &[(&str, Ipv6Addr)]) -> Result<(), LabError> {
    let cannot = |source| LabError::system("open a netlink socket", source);
    namespace.run(|| {
        runtime().map_err(cannot)?.block_on(async {
            let groups = [MulticastGroup::Link, MulticastGroup::Ipv6Ifaddr];
            let (connection, netlink, mut changes) =
                rtnetlink::new_multicast_connection(&groups).map_err(cannot)?;
            tokio::spawn(connection);
            let all_ready = async {
                for &(device, address) in devices {
                    while !is_ready(&netlink, device, address).await? {
                        changes.next().await;
                    }
                }
                Ok(())
            };
            tokio::time::timeout(READY, all_ready).await.unwrap_or_else(|_| {
                Err(LabError::NotReady {
                    what: format!("the network of the {}", namespace.name()),
                    seconds: READY.as_secs(),
                })
            })
        })
    })
}

async fn is_ready(netlink: &Handle, device: &str, address: Ipv6Addr) -> Result<bool, LabError> {
    let looked = || failed(format!("look at {device}"));
    let mut links = netlink.link().get().match_name(device).execute();
    let Some(link) = links.try_next().await.map_err(looked())? else {
        return Ok(false);
    };
    let up = link.attributes.contains(&LinkAttribute::OperState(State::Up));
    let addresses: Vec<_> = netlink
        .address()
        .get()
        .set_link_index_filter(link.header.index)
        .execute()
        .try_collect()
        .await
        .map_err(looked())?;
    let usable = addresses.iter().any(|found| {
        found
            .attributes
            .contains(&AddressAttribute::Address(address.into()))
            && !found.header.flags.contains(AddressHeaderFlags::Tentative)
    });
    let settled = addresses
        .iter()
        .all(|found| !found.header.flags.contains(AddressHeaderFlags::Tentative));
    // The link-local address is the source of neighbour solicitations: nothing flows without it.
    let has_link_local = addresses.iter().any(|found| {
        found.attributes.iter().any(|attribute| {
            matches!(attribute, AddressAttribute::Address(std::net::IpAddr::V6(found)) if found.is_unicast_link_local())
        })
    });
    Ok(up && usable && settled && has_link_local)
}

fn failed(what: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> LabError {
    let what = what.into();
    move |source| LabError::Netlink { what, source }
}
