//! The files of the router package, embedded from `openwrt/`.

use serde::Serialize;

/// A file as it lies on the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PackageFile {
    /// Its absolute path.
    pub path: &'static str,
    /// Its permission bits.
    pub mode: u32,
    /// Its text.
    pub text: &'static str,
}

/// The script that installs, checks and removes all of it; it carries the same files.
pub(crate) const PROVISION: &str = include_str!("../../../openwrt/provision.sh");

macro_rules! package {
    ($($mode:literal $path:literal,)*) => {
        const FILES: &[PackageFile] = &[$(PackageFile {
            path: $path,
            mode: $mode,
            text: include_str!(concat!("../../../openwrt/v6kit-router/files", $path)),
        },)*];
    };
}

package! {
    0o644 "/usr/lib/v6kit-router/values.sh",
    0o644 "/usr/lib/v6kit-router/settings.sh",
    0o644 "/usr/lib/v6kit-router/network.sh",
    0o644 "/usr/lib/v6kit-router/wanted.sh",
    0o644 "/usr/lib/v6kit-router/route.sh",
    0o644 "/usr/lib/v6kit-router/firewall.sh",
    0o644 "/usr/lib/v6kit-router/conntrack.sh",
    0o644 "/usr/lib/v6kit-router/differences.sh",
    0o644 "/usr/lib/v6kit-router/report.sh",
    0o755 "/usr/sbin/v6kit-router",
    0o644 "/etc/config/v6kit-router",
    0o755 "/etc/init.d/v6kit-router",
    0o644 "/etc/hotplug.d/iface/90-v6kit-router",
    0o644 "/usr/share/nftables.d/table-pre/v6kit-router.nft",
    0o644 "/usr/share/nftables.d/chain-post/raw_prerouting/v6kit-router.nft",
    0o644 "/usr/share/nftables.d/chain-pre/forward/v6kit-router.nft",
    0o644 "/usr/share/nftables.d/ruleset-post/v6kit-router.nft",
}

/// Everything that is installed on an OpenWrt router, in the order in which it is written: what is needed
/// comes before what needs it.
#[must_use]
pub fn files() -> &'static [PackageFile] {
    FILES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_writes_the_same_files_in_the_same_order() {
        let list = PROVISION
            .split("FILES='\n")
            .nth(1)
            .unwrap()
            .split('\'')
            .next()
            .unwrap();
        let expected: Vec<String> = list.split_whitespace().map(|path| format!("/{path}")).collect();
        let ours: Vec<&str> = files().iter().map(|file| file.path).collect();
        assert_eq!(ours, expected);
        for file in files() {
            assert!(PROVISION.contains(file.text), "{} in provision.sh", file.path);
        }
    }
}
