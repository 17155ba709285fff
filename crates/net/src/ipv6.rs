//! Whether this host speaks IPv6, as the kernel's settings below /proc say.

use std::fs;
use std::io;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use crate::own_addresses;

/// The settings of each device, and of `all` and `default` (Documentation/networking/ip-sysctl.rst).
const CONF: &str = "/proc/sys/net/ipv6/conf";

/// The smallest MTU of a link that carries IPv6, in bytes (RFC 8200 section 5). The kernel takes IPv6 away from a device
/// with less, its addresses and routes included.
pub const IPV6_MIN_MTU: u32 = 1280;

/// Whether IPv6 is to be had on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ipv6 {
    /// It is.
    On,
    /// The kernel was started or built without it.
    NotInKernel,
    /// It is switched off.
    Off {
        /// The settings that do, as sysctl(8) names them: `net.ipv6.conf.all.disable_ipv6`.
        settings: Vec<String>,
    },
    /// It is on, and no device but `lo` has an address to send from beyond its own link.
    NoAddress,
}

impl Ipv6 {
    /// What this host has now. Where /proc cannot be read, what its addresses say.
    #[must_use]
    pub fn here() -> Self {
        let proc = Path::new("/proc/sys/net");
        if proc.exists() && !proc.join("ipv6").exists() {
            return Self::NotInKernel;
        }
        let settings = switched_off();
        let has_address = own_addresses().is_ok_and(|found| found.iter().any(is_global));
        match (has_address, settings.is_empty()) {
            (true, _) => Self::On,
            (false, false) => Self::Off { settings },
            (false, true) => Self::NoAddress,
        }
    }
}

/// An address that packets can leave the link with: neither of `lo` nor link-local, unique local ones included
/// (RFC 4193).
fn is_global(address: &Ipv6Addr) -> bool {
    !address.is_loopback() && !address.is_unicast_link_local() && !address.is_unspecified()
}

/// The settings by which IPv6 is switched off: `all` where that is set, else each device's.
fn switched_off() -> Vec<String> {
    let is_off = |name: &str| setting(name, "disable_ipv6").is_ok_and(|value| value == "1");
    if is_off("all") {
        return vec!["net.ipv6.conf.all.disable_ipv6".to_owned()];
    }
    devices()
        .into_iter()
        .filter(|name| is_off(name))
        .map(|name| format!("net.ipv6.conf.{}.disable_ipv6", in_sysctl(&name)))
        .collect()
}

/// The devices on which the kernel ignores router advertisements because it forwards: `forwarding` is 1 and
/// `accept_ra` is 1 rather than 2 (Documentation/networking/ip-sysctl.rst).
#[must_use]
pub fn ignoring_advertisements() -> Vec<String> {
    let is = |name: &str, key: &str, wanted: &str| setting(name, key).is_ok_and(|value| value == wanted);
    devices()
        .into_iter()
        .filter(|name| is(name, "forwarding", "1") && is(name, "accept_ra", "1"))
        .collect()
}

/// The devices that carry no IPv6 because their MTU is below [`IPV6_MIN_MTU`], with that. None where sysfs shows others
/// than those of this network namespace.
#[must_use]
pub fn below_ipv6() -> Vec<(String, u32)> {
    let Ok(interfaces) = nix::net::if_::if_nameindex() else {
        return Vec::new();
    };
    let mtu = |name: &str| -> Option<u32> {
        let path: PathBuf = ["/sys/class/net", name, "mtu"].iter().collect();
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let conf = Path::new(CONF);
    interfaces
        .iter()
        .filter_map(|interface| interface.name().to_str().ok().map(ToOwned::to_owned))
        .filter(|name| conf.exists() && !conf.join(name).exists())
        .filter_map(|name| Some((mtu(&name)?, name)))
        .filter(|(mtu, _)| *mtu < IPV6_MIN_MTU)
        .map(|(mtu, name)| (name, mtu))
        .collect()
}

/// The device of this name in the name of a setting, where its dots stand as slashes (sysctl(8)): `eth0.5` as `eth0/5`.
#[must_use]
pub fn in_sysctl(device: &str) -> String {
    device.replace('.', "/")
}

/// The devices with settings of IPv6, without `lo`.
fn devices() -> Vec<String> {
    let Ok(entries) = fs::read_dir(CONF) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !["all", "default", "lo"].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

fn setting(device: &str, key: &str) -> io::Result<String> {
    let path: PathBuf = [CONF, device, key].iter().collect();
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_link_alone_are_no_way_to_leave_it() {
        for (text, expected) in [
            ("::1", false),
            ("fe80::1", false),
            ("2001:db8::1", true),
            ("fd00::1", true),
        ] {
            assert_eq!(is_global(&text.parse().unwrap()), expected, "{text}");
        }
    }
}
