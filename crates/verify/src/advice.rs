//! What a diagnosis means here, and what to do about it.

use std::net::{IpAddr, Ipv6Addr};

use v6kit_net::Prefix;

use crate::limits::Table;
use crate::report::Diagnosis;
use crate::trace::Hop;

/// What is known of the host and the way out, to fill into the advice.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) prefix: Prefix,
    /// The device that leads out.
    pub(crate) device: Option<&'a str>,
    /// The host's own address, as seen by the router.
    pub(crate) own: Option<Ipv6Addr>,
    /// The host's link-local address on the device.
    pub(crate) link_local: Option<Ipv6Addr>,
    pub(crate) gateway: Option<Ipv6Addr>,
    /// Who forbids packets from the prefix.
    pub(crate) forbidden_by: Option<Ipv6Addr>,
    /// The farthest router whose answer came back.
    pub(crate) way_back: Option<Hop>,
    /// The part of the prefix that works.
    pub(crate) only_part: Option<ipnet::Ipv6Net>,
    /// What the endpoint saw instead.
    pub(crate) rewritten_to: Option<IpAddr>,
    /// What the uplink lacks.
    pub(crate) uplink_hint: Option<&'a str>,
    /// The table of this host, where it is full.
    pub(crate) full_here: Option<Table>,
    /// The farthest router that answered a new flow of the host's own address.
    pub(crate) new_flows_reach: Option<Hop>,
    /// No endpoint gave any sign.
    pub(crate) silent: bool,
}

/// What tells whether the table of a Linux router is full.
const LOOK_AT_TABLE: &str =
    "`sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max; dmesg | grep conntrack`";

impl Surroundings<'_> {
    /// The diagnosis in a sentence.
    pub(crate) fn meaning(&self, diagnosis: Diagnosis) -> String {
        let prefix = self.prefix;
        match diagnosis {
            Diagnosis::Ok => format!("connections leave from random addresses of {prefix} and are answered"),
            Diagnosis::OnLink => format!(
                "{} takes {prefix} for on-link: it asks for each address instead of routing the prefix to this host",
                self.router()
            ),
            Diagnosis::NoReturn => match self.only_part {
                Some(part) => format!("answers come back to {part} only, not to the rest of {prefix}"),
                None => format!(
                    "nothing comes back to {prefix}: {} does not route it to this host",
                    self.router()
                ),
            },
            Diagnosis::Filtered => match (self.forbidden_by, self.way_back) {
                (Some(router), _) => format!("{router} forbids packets from {prefix}"),
                (None, Some(Hop { router, .. })) => {
                    format!("packets from {prefix} are lost behind {router}")
                }
                (None, None) => format!("packets from {prefix} are filtered on their way"),
            },
            Diagnosis::Rewritten => match self.rewritten_to {
                Some(address) => format!("connections from {prefix} arrive as {address}"),
                None => format!("connections from {prefix} arrive with another address"),
            },
            Diagnosis::NotSetUp => format!("this host does not take {prefix} for its own"),
            Diagnosis::TableFull => match (self.full_here, self.new_flows_reach) {
                (Some(Table { count, max }), _) => format!(
                    "this host's own table of tracked connections is full ({count} of {max}): new ones are dropped"
                ),
                (None, Some(Hop { router, .. })) => format!(
                    "looks like a full connection table behind {router}, or an endpoint that is overloaded: new connections hang, established ones go on"
                ),
                (None, None) => format!(
                    "looks like a full connection table on {}: new connections hang, established ones go on",
                    self.router()
                ),
            },
            Diagnosis::NoUplink => {
                "this host reaches no endpoint over IPv6, from whichever address".to_owned()
            }
        }
    }

    /// What to do.
    pub(crate) fn hint(&self, diagnosis: Diagnosis) -> Option<String> {
        let prefix = self.prefix;
        let device = self.device.unwrap_or("DEV");
        Some(match diagnosis {
            Diagnosis::Ok => return None,
            Diagnosis::OnLink => format!(
                "have the prefix routed to {}, or answer for it: `sudo v6kit ndp --prefix {prefix} --dev {device}`",
                self.host()
            ),
            Diagnosis::NoReturn => match self.only_part {
                Some(part) => {
                    format!("use the part that works, {part}, or have all of {prefix} routed to this host")
                }
                None => format!(
                    "on the router: `ip -6 route add {prefix} via {}`{}",
                    self.host(),
                    self.by_link_local()
                ),
            },
            Diagnosis::Filtered => format!(
                "allow {prefix} as a source in the firewall of {}, and ask the provider whether it is delegated to you",
                self.filter()
            ),
            Diagnosis::Rewritten => format!(
                "turn off address translation (NAT66, masquerading) and transparent proxies for {prefix} on {}",
                self.router()
            ),
            Diagnosis::NotSetUp => format!("`sudo v6kit setup --prefix {prefix} --dev {device}`"),
            Diagnosis::TableFull if self.full_here.is_some() => format!(
                "`sudo v6kit setup --prefix {prefix} --dev {device} --conntrack notrack` keeps the prefix out of it; or raise net.netfilter.nf_conntrack_max"
            ),
            Diagnosis::TableFull => format!(
                "look at the router: `v6kit router check`, or on it {LOOK_AT_TABLE}; then keep {prefix} out of it (`v6kit router push`, or `v6kit router render --as nftables`), or raise net.netfilter.nf_conntrack_max"
            ),
            Diagnosis::NoUplink if self.silent && self.gateway.is_some() => format!(
                "see whether {0} reaches the internet; where connections from before go on, a full connection table on {0} looks the same: {LOOK_AT_TABLE}",
                self.router()
            ),
            Diagnosis::NoUplink => return self.uplink_hint.map(ToOwned::to_owned),
        })
    }

    fn router(&self) -> String {
        self.gateway.map_or_else(
            || "the router".to_owned(),
            |gateway| format!("the router {gateway}"),
        )
    }

    fn filter(&self) -> String {
        let router = self.forbidden_by.or(self.way_back.map(|hop| hop.router));
        router.map_or_else(|| self.router(), |router| router.to_string())
    }

    fn host(&self) -> String {
        self.own
            .or(self.link_local)
            .map_or_else(|| "HOST".to_owned(), |address| address.to_string())
    }

    fn by_link_local(&self) -> String {
        match (self.own, self.link_local) {
            (Some(_), Some(link_local)) => {
                format!(" (or, where that address may change, `via {link_local} dev` its LAN device)")
            }
            _ => String::new(),
        }
    }
}
