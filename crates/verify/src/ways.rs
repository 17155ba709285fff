//! What this host's routing does with packets of the prefix, in both directions.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use v6kit_net::{Code, Prefix};

use crate::evidence::{Evidence, Observation};
use crate::report::Check;
use crate::routes::{Device, NextHop, OwnAddress, Question, Routes, RoutesError, Way, WayOut};

/// The way out of the prefix, beside that of the host's own address.
#[derive(Debug)]
pub(crate) struct Ways {
    prefix: Prefix,
    /// An address of the prefix, as the source of the look-up.
    source: Ipv6Addr,
    to: Ipv6Addr,
    /// Where a socket leads that is not bound, or else one that is bound to another address of this host.
    pub(crate) own: Option<WayOut>,
    /// Whether no route leads to the endpoint from an address of the prefix.
    is_nowhere: bool,
    /// Where one leads that is bound to an address of the prefix.
    pub(crate) of_prefix: Result<WayOut, String>,
    next_hop: NextHop,
    /// The device that the prefix is set up on.
    home: Option<String>,
    /// Where there is no device of that name any more.
    home_is_gone: bool,
    /// Policy rules about the prefix.
    pub(crate) rules: Vec<String>,
    /// The addresses of this host.
    pub(crate) addresses: Vec<OwnAddress>,
}

/// The prefix that replaced one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Successor {
    /// The address that is deprecated, with its network's length.
    pub(crate) old: OwnAddress,
    /// One on the same device that is not.
    pub(crate) new: OwnAddress,
}

impl Ways {
    /// Looks up the ways from `source` in `prefix`, and from nowhere, to `to`.
    pub(crate) async fn look(
        routes: &Routes,
        prefix: Prefix,
        source: Ipv6Addr,
        to: Ipv6Addr,
        home: Option<String>,
    ) -> Result<Self, RoutesError> {
        let question = |from| Question {
            from,
            to,
            arriving_by: None,
        };
        let found = routes.look_up(question(Some(source))).await?;
        let is_nowhere = matches!(found, Way::Nowhere(_));
        let of_prefix = match found {
            Way::Out(way) => Ok(way),
            Way::Here => Err(format!("{to} is delivered to this host itself")),
            Way::Nowhere(error) => Err(error.to_string()),
        };
        let device = of_prefix.as_ref().ok().map(|way| way.device.clone());
        let addresses = routes.addresses().await?;
        let mut own = routes.look_up(question(None)).await?.out();
        // Routes may go for some sources only.
        let others = addresses.iter().map(|own| own.address);
        for other in others.filter(|other| is_global(*other) && !prefix.contains(*other)) {
            if own.is_none() {
                own = routes.look_up(question(Some(other))).await?.out();
            }
        }
        Ok(Self {
            prefix,
            source,
            to,
            own,
            is_nowhere,
            rules: routes.rules_about(prefix, device.as_ref()).await?,
            next_hop: NextHop::Unknown,
            of_prefix,
            home_is_gone: home.as_deref().is_some_and(|name| Device::named(name).is_none()),
            home,
            addresses,
        })
    }

    /// Finds out whether the next hop answers; after something was sent that way.
    pub(crate) async fn look_at_next_hop(&mut self, routes: &Routes) -> Result<(), RoutesError> {
        if let Ok(way) = &self.of_prefix {
            self.next_hop = routes
                .next_hop(way.gateway.unwrap_or(self.to), &way.device)
                .await?;
        }
        Ok(())
    }

    /// `has_default`: there is a default route for somebody.
    pub(crate) fn observe(&self, has_default: bool, evidence: &mut Evidence) {
        evidence.add_if(
            self.of_prefix.is_err() && self.own.is_some(),
            Observation::NoWayOut,
        );
        evidence.add_if(
            has_default && self.is_nowhere && self.own.is_none(),
            Observation::NoWay,
        );
        evidence.add_if(self.other_way_out().is_some(), Observation::OtherWayOut);
        evidence.add_if(
            self.of_prefix.is_ok() && self.next_hop == NextHop::Silent,
            Observation::GatewaySilent,
        );
        evidence.add_if(
            successor(self.prefix, &self.addresses).is_some(),
            Observation::Deprecated,
        );
    }

    /// Whether packets of the prefix have a way whose next hop is known, so that nothing but a rule keeps them here; or one
    /// whose next hop the kernel never asked for, so that they do not even come so far.
    pub(crate) fn can_leave(&self) -> bool {
        match &self.of_prefix {
            // Point-to-point devices have no neighbours.
            Ok(WayOut { gateway: None, .. }) => self.next_hop != NextHop::Silent,
            Ok(_) => matches!(self.next_hop, NextHop::Answers | NextHop::NotAsked),
            Err(_) => false,
        }
    }

    /// The device that the prefix leaves by, and the one that it is set up on, where these differ.
    pub(crate) fn other_way_out(&self) -> Option<(&Device, &str)> {
        let (way, home) = (self.of_prefix.as_ref().ok()?, self.home.as_deref()?);
        (way.device.name != home && !self.home_is_gone).then_some((&way.device, home))
    }

    pub(crate) fn own_addresses(&self) -> BTreeSet<Ipv6Addr> {
        self.addresses.iter().map(|own| own.address).collect()
    }

    /// An address on the way out of the prefix by which a router can send to this host, rather one that stays; none
    /// of the prefix itself.
    pub(crate) fn host_address(&self) -> Option<Ipv6Addr> {
        let device = self.of_prefix.as_ref().ok()?.device.index;
        self.addresses
            .iter()
            .filter(|own| own.device == device && !own.is_deprecated)
            .filter(|own| !own.address.is_unicast_link_local() && !self.prefix.contains(own.address))
            .min_by_key(|own| (own.is_temporary, !own.is_permanent, own.address))
            .map(|own| own.address)
    }

    pub(crate) fn successor(&self) -> Option<Successor> {
        successor(self.prefix, &self.addresses)
    }

    /// The line that shows the look-up.
    pub(crate) fn command(&self) -> String {
        format!("ip -6 route get {} from {}", self.to, self.source)
    }

    /// The line that shows the look-up for answers.
    pub(crate) fn command_inward(&self, device: &Device) -> String {
        format!(
            "ip -6 route get {} from {} iif {}",
            self.source, self.to, device.name
        )
    }

    /// Whether what comes in by `device` for the prefix is delivered to this host.
    pub(crate) async fn is_delivered_from(
        &self,
        routes: &Routes,
        device: &Device,
    ) -> Result<bool, RoutesError> {
        let question = Question {
            from: Some(self.to),
            to: self.source,
            arriving_by: Some(device),
        };
        Ok(matches!(routes.look_up(question).await?, Way::Here))
    }

    /// The way out.
    pub(crate) fn check(&self) -> Check {
        const ID: &str = "way";
        let prefix = self.prefix;
        let by_rule = match self.rules.as_slice() {
            [] => String::new(),
            rules => format!(" (policy rules: {})", rules.join("; ")),
        };
        match &self.of_prefix {
            Err(why) => Check::failed(
                ID,
                format!("there is no way out for packets from {prefix}: {why}{by_rule}"),
            ),
            Ok(way) => {
                let via = way
                    .gateway
                    .map_or_else(String::new, |gateway| format!(" via {gateway}"));
                let detail = format!("packets from {prefix} leave by {}{via}{by_rule}", way.device.name);
                match self.other_way_out() {
                    None if self.home_is_gone => Check::warning(
                        ID,
                        format!(
                            "{detail}; {}, on which it was set up, is not there any more",
                            self.home.as_deref().unwrap_or("the device")
                        ),
                    )
                    .hint(
                        Code::Drifted,
                        format!(
                            "set it up on the new one: `sudo v6kit setup --prefix {prefix} --dev {}`",
                            way.device.name
                        ),
                    ),
                    Some((_, home)) => {
                        Check::warning(ID, format!("{detail}, not by {home}, on which it is set up"))
                    }
                    None => Check::ok(ID, detail),
                }
            }
        }
    }
}

fn is_global(address: Ipv6Addr) -> bool {
    !address.is_unicast_link_local() && !address.is_loopback()
}

/// The announced address that `prefix` belongs to, where its preferred lifetime is over, and one on the same device
/// that took its place. An administrator's addresses are deprecated on purpose and count for nothing.
fn successor(prefix: Prefix, addresses: &[OwnAddress]) -> Option<Successor> {
    let belongs = |own: &&OwnAddress| {
        let network = Prefix::around(own.address, own.length);
        (network.contains(&prefix.network()) || prefix.contains(own.address)) && own.length < 128
            || own.length == 128 && prefix.contains(own.address)
    };
    let global = |own: &&OwnAddress| is_global(own.address);
    let mut those = addresses.iter().filter(global).filter(belongs);
    let old = those.next()?;
    if !old.is_deprecated || old.is_permanent || those.any(|own| !own.is_deprecated) {
        return None;
    }
    let new = addresses
        .iter()
        .filter(global)
        .find(|own| own.device == old.device && !own.is_deprecated && !own.is_permanent && !belongs(own))?;
    Some(Successor {
        old: old.clone(),
        new: new.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(address: &str, is_deprecated: bool, is_permanent: bool) -> OwnAddress {
        OwnAddress {
            address: address.parse().unwrap(),
            length: 64,
            device: 2,
            is_deprecated,
            is_permanent,
            is_temporary: false,
        }
    }

    #[test]
    fn a_prefix_is_renumbered_when_its_announced_address_is_deprecated_and_another_is_not() {
        let prefix: Prefix = "2001:db8:1::/64".parse().unwrap();
        let (old, new) = (
            own("2001:db8:1::a", true, false),
            own("2001:db8:2::a", false, false),
        );
        let found = successor(prefix, &[old.clone(), new.clone()]).unwrap();
        assert_eq!((found.old, found.new), (old.clone(), new.clone()));
        let part: Prefix = "2001:db8:1:0:abcd::/80".parse().unwrap();
        assert!(successor(part, &[old.clone(), new.clone()]).is_some());
        for addresses in [
            vec![old.clone()],
            vec![own("2001:db8:1::a", false, false), new.clone()],
            vec![own("2001:db8:1::a", true, true), new.clone()],
            vec![old.clone(), own("2001:db8:1::b", false, false), new.clone()],
            vec![old.clone(), own("fe80::1", false, false)],
            vec![own("2001:db8:9::a", true, false), new.clone()],
            vec![old, OwnAddress { device: 3, ..new }],
        ] {
            assert_eq!(successor(prefix, &addresses), None, "{addresses:?}");
        }
    }
}
