//! What the host is, read before anything is changed.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;
use std::path::Path;

use ipnet::Ipv6Net;
use nix::errno::Errno;
use v6kit_net::Prefix;

use crate::delivery::Tables;
use crate::error::HostError;
use crate::listeners::{self, Listener};
use crate::logins::Logins;
use crate::netlink::{Address, Link, Neighbour, Route, Rule};
use crate::nft::{self, NftError, Ruleset};
use crate::sysctl::{self, Access, Sysctl};
use crate::system::System;
use crate::value::Value;

/// The sysctls that a plan may ask for.
pub(crate) const SYSCTLS: [&str; 15] = [
    "net.ipv6.ip_nonlocal_bind",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_max_tw_buckets",
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syncookies",
    "fs.nr_open",
    "fs.file-max",
    CONNTRACK_COUNT,
    CONNTRACK_MAX,
    CONNTRACK_BUCKETS,
    FORWARDING,
];
/// Whether packets pass this host.
pub(crate) const FORWARDING: &str = "net.ipv6.conf.all.forwarding";
/// How many connections are tracked.
pub(crate) const CONNTRACK_COUNT: &str = "net.netfilter.nf_conntrack_count";
/// How many may be.
pub(crate) const CONNTRACK_MAX: &str = "net.netfilter.nf_conntrack_max";
/// In how many buckets they lie.
pub(crate) const CONNTRACK_BUCKETS: &str = "net.netfilter.nf_conntrack_buckets";

/// What the host is. Made up in unit tests, so that plans are tested without a host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) links: Vec<Link>,
    /// The names of links on which IPv6 is switched off.
    pub(crate) without_ipv6: Vec<String>,
    /// The names of links that take no router advertisements because this host forwards.
    pub(crate) without_advertisements: Vec<String>,
    pub(crate) addresses: Vec<Address>,
    /// Routes that go for addresses of the prefix, default routes included, and those with a gateway in it.
    pub(crate) routes: Vec<Route>,
    /// Routes of table main to what is reached without a router, the subnets of other devices included.
    pub(crate) on_link: Vec<Route>,
    /// Policy rules.
    pub(crate) rules: Vec<Rule>,
    /// Neighbours in the prefix.
    pub(crate) neighbours: Vec<Neighbour>,
    /// The other ends of connections, where they lie in the prefix.
    pub(crate) peers: Vec<Ipv6Addr>,
    /// The name servers of this host that lie in the prefix.
    pub(crate) resolvers: Vec<Ipv6Addr>,
    pub(crate) sysctls: BTreeMap<String, Sysctl>,
    pub(crate) listeners: Vec<Listener>,
    /// What a login may open without us; `None` without PAM.
    pub(crate) logins: Option<Logins>,
    /// Our limits file.
    pub(crate) limits_file: Value,
    /// Why that file cannot be written.
    pub(crate) limits_refusal: Option<Errno>,
    pub(crate) firewall: Firewall,
    /// Whether iptables' older half has rules that nft cannot see.
    pub(crate) has_legacy_rules: bool,
    pub(crate) cores: u64,
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) may_administer_network: bool,
    /// The first two numbers of the kernel's version.
    pub(crate) kernel: Option<(u32, u32)>,
}

/// What nft says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Firewall {
    /// The rules.
    Rules(Ruleset),
    /// It is not installed, or cannot be used here.
    Unusable {
        /// Why not, on one line.
        reason: String,
        /// What to do.
        hint: String,
        /// What kind of reason that is.
        lack: Lack,
    },
}

/// Why nft cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// There is none, or it cannot be run.
    NotThere,
    /// It was run, and may not do what it was asked to.
    Denied,
    /// It was run, and failed.
    Failed,
}

impl Firewall {
    fn is_denied(&self) -> bool {
        matches!(
            self,
            Self::Unusable {
                lack: Lack::Denied,
                ..
            }
        )
    }
}

/// What decides where packets of a prefix go.
#[derive(Default)]
struct Routing {
    addresses: Vec<Address>,
    routes: Vec<Route>,
    on_link: Vec<Route>,
    rules: Vec<Rule>,
    neighbours: Vec<Neighbour>,
}

impl Routing {
    async fn gather(system: &System, prefix: Prefix) -> Result<Self, HostError> {
        let netlink = &system.netlink;
        Ok(Self {
            addresses: netlink.addresses().await?,
            routes: netlink
                .routes(|route| {
                    route.overlaps(prefix) || route.gateways.iter().any(|gateway| prefix.contains(*gateway))
                })
                .await?,
            on_link: netlink.routes(Route::is_on_link).await?,
            rules: netlink.rules().await?,
            neighbours: netlink
                .neighbours(|neighbour| prefix.contains(neighbour.address))
                .await?,
        })
    }
}

impl Facts {
    /// Reads everything that the plan for `prefix` depends on.
    pub(crate) async fn gather(system: &System, prefix: Prefix) -> Result<Self, HostError> {
        let is_about_ipv6 = !prefix.is_this_host();
        if is_about_ipv6 && !Path::new("/proc/sys/net/ipv6").exists() {
            return Err(HostError::NoIpv6);
        }
        let mut sysctls = BTreeMap::new();
        for name in SYSCTLS {
            let found = sysctl::inspect(name).map_err(HostError::facts("/proc/sys"))?;
            sysctls.insert(name.to_owned(), found);
        }
        let links = system.netlink.links().await?;
        for link in &links {
            let name = sysctl::of_device(&link.name, "accept_ra");
            let found = sysctl::inspect(&name).map_err(HostError::facts("/proc/sys"))?;
            sysctls.insert(name, found);
        }
        let names_of = |what: fn(&str) -> bool| {
            let names = links.iter().map(|link| link.name.clone());
            names.filter(|name| what(name)).collect()
        };
        let routing = match is_about_ipv6 {
            true => Routing::gather(system, prefix).await?,
            false => Routing::default(),
        };
        let firewall = firewall();
        // The capability may be that of a user namespace below the one that this network namespace belongs to; then
        // routes cannot be changed either. Where they can, it is nft alone that is denied something.
        let is_denied = firewall.is_denied() && is_about_ipv6 && !system.netlink.may_change_routes().await;
        Ok(Self {
            without_ipv6: names_of(is_without_ipv6),
            without_advertisements: names_of(is_without_advertisements),
            links,
            addresses: routing.addresses,
            routes: routing.routes,
            on_link: routing.on_link,
            rules: routing.rules,
            neighbours: routing.neighbours,
            peers: listeners::peers(|address| prefix.contains(address)),
            resolvers: resolvers().filter(|address| prefix.contains(*address)).collect(),
            sysctls,
            listeners: listeners::listeners(),
            logins: Logins::gather().map_err(HostError::facts("/etc/security"))?,
            limits_file: crate::limits::read().map_err(HostError::facts("/etc/security"))?,
            limits_refusal: crate::limits::refusal(),
            firewall,
            has_legacy_rules: has_legacy_rules(),
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            memory: memory().map_err(HostError::facts("/proc/meminfo"))?,
            may_administer_network: !is_denied
                && may_administer_network().map_err(HostError::facts("/proc/self/status"))?,
            kernel: kernel(),
        })
    }

    /// What root would find, for the plan that a plain user asks for.
    pub(crate) fn found_by_root(mut self) -> Self {
        if self.may_administer_network {
            return self;
        }
        self.limits_refusal = self.limits_refusal.filter(|errno| *errno != Errno::EACCES);
        for sysctl in self.sysctls.values_mut() {
            if sysctl.access == Access::NeedsRoot {
                sysctl.access = Access::Writable;
            }
        }
        if self.firewall.is_denied() {
            self.firewall = Firewall::Rules(Ruleset::default());
        }
        self
    }

    pub(crate) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    pub(crate) fn link_name(&self, index: Option<u32>) -> &str {
        self.links
            .iter()
            .find(|link| Some(link.index) == index)
            .map_or("another device", |link| &link.name)
    }

    /// The networks on the link of a device.
    pub(crate) fn on_link_of(&self, device: &str) -> Vec<Ipv6Net> {
        let link = self.link(device).map(|link| link.index);
        on_link(&self.on_link, link)
    }

    /// What decides where packets go.
    pub(crate) fn tables(&self) -> Tables<'_> {
        Tables {
            links: &self.links,
            addresses: &self.addresses,
            routes: &self.routes,
            rules: &self.rules,
        }
    }

    /// The number in a sysctl.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.sysctls.get(name)?.value.as_text()?.parse().ok()
    }
}

/// Whether `disable_ipv6` is set for a link, whose name may have dots and is no part of a sysctl's name.
pub(crate) fn is_without_ipv6(link: &str) -> bool {
    setting(link, "disable_ipv6").is_some_and(|value| value == "1")
}

/// Whether a link takes no router advertisements because it forwards: accept_ra=1 means "unless forwarding"
/// (ip-sysctl.rst).
pub(crate) fn is_without_advertisements(link: &str) -> bool {
    let is = |name, value| setting(link, name).is_some_and(|found| found == value);
    link != "lo" && is("forwarding", "1") && is("accept_ra", "1")
}

fn setting(link: &str, name: &str) -> Option<String> {
    let path = Path::new("/proc/sys/net/ipv6/conf").join(link).join(name);
    std::fs::read_to_string(path)
        .ok()
        .map(|value| value.trim().to_owned())
}

fn firewall() -> Firewall {
    match nft::ruleset() {
        Ok(rules) => Firewall::Rules(rules),
        Err(error @ NftError::Missing) => Firewall::Unusable {
            reason: error.to_string(),
            hint: "install it (`sudo apt install nftables`) and run setup again".to_owned(),
            lack: Lack::NotThere,
        },
        Err(error) => Firewall::Unusable {
            reason: match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            },
            hint: v6kit_net::Hint::hint(&error).unwrap_or_default(),
            lack: match error {
                NftError::Missing | NftError::Run(_) => Lack::NotThere,
                _ if error.is_denial() => Lack::Denied,
                _ => Lack::Failed,
            },
        },
    }
}

/// The IPv6 name servers of resolv.conf(5), and those that systemd-resolved asks for it.
fn resolvers() -> impl Iterator<Item = Ipv6Addr> {
    ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().filter_map(resolver).collect::<Vec<_>>())
}

fn resolver(line: &str) -> Option<Ipv6Addr> {
    let mut words = line.split_whitespace();
    (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok())?
}

/// Whether `ip6tables-legacy` has a filter table. Readable by root only.
fn has_legacy_rules() -> bool {
    std::fs::read_to_string("/proc/net/ip6_tables_names")
        .is_ok_and(|names| names.lines().any(|name| name == "filter"))
}

fn memory() -> io::Result<u64> {
    use procfs::Current;
    let info = procfs::Meminfo::current().map_err(io::Error::other)?;
    Ok(info.mem_total)
}

/// The networks that `routes` say to be on the link of this index.
pub(crate) fn on_link(routes: &[Route], link: Option<u32>) -> Vec<Ipv6Net> {
    let mut nets: Vec<Ipv6Net> = routes
        .iter()
        .filter(|route| link.is_some() && route.link == link && route.is_on_link())
        .map(|route| route.destination)
        .collect();
    nets.sort_unstable();
    nets.dedup();
    nets
}

fn kernel() -> Option<(u32, u32)> {
    let uname = nix::sys::utsname::uname().ok()?;
    version(uname.release().to_str()?)
}

/// The first two numbers of a release such as `6.1.0-13-amd64`.
pub(crate) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether CAP_NET_ADMIN (capabilities(7)) is in the effective set.
pub(crate) fn may_administer_network() -> io::Result<bool> {
    const CAP_NET_ADMIN: u64 = 12;
    let status = procfs::process::Process::myself()
        .and_then(|process| process.status())
        .map_err(io::Error::other)?;
    Ok(status.capeff >> CAP_NET_ADMIN & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_resolv_conf_has_them() {
        let found = |line| resolver(line).map(|address| address.to_string());
        assert_eq!(
            found("nameserver\t2001:db8::1 # of the router").unwrap(),
            "2001:db8::1"
        );
        assert_eq!(found("nameserver 192.0.2.1"), None);
        assert_eq!(found("# nameserver 2001:db8::1"), None);
        assert_eq!(found("search example.org"), None);
    }
}
