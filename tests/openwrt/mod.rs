//! The router package on a small OpenWrt: busybox for userland, the real `uci` and `nft`, a firewall of
//! fw4's shape, and stand-ins for netifd (see `router.bash`).

mod network;
mod package;
mod provision;
mod rules;
mod settings;
mod table;
mod values;

use std::path::{Path, PathBuf};

use crate::harness::{self, Run};

/// A router with the package, configured for one host and not applied yet.
const READY: &str = "
    make_topology
    router fw4 start
    install_package
    configure_crawler
    # Everything on the router's disk, with inode and time: what a write would change.
    disk() { find $R/etc $R/usr/share $R/usr/sbin -not -path '*/stub/*' -printf '%p %i %s %T@ %l\\n' | sort; }
    memory() { find $R/tmp -type f -not -name '*.lock' -printf '%p %i %s %T@\\n' | sort; }
    has_route() { [ -n \"$(ip -6 route show $1 via fe80::9 dev br-lan)\" ]; }
    has_element() { [[ $(nft list set inet fw4 v6kit_prefix) == *\"{ $1 }\"* ]]; }
";

/// Runs a bash script in fresh namespaces, with the functions of `router.bash` and a router made.
#[track_caller]
pub(crate) fn on_router(script: &str) -> Run {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    on_router_with(scratch.path(), script)
}

/// [`on_router`] with a directory that outlives the script.
#[track_caller]
pub(crate) fn on_router_with(scratch: &Path, script: &str) -> Run {
    let repository = harness::repository();
    let uci = uci();
    harness::in_namespace_with(
        scratch,
        &format!(
            "REPOSITORY='{}' UCI='{}'\n. \"$REPOSITORY/tests/openwrt/router.bash\"\nmake_router\n{script}",
            repository.display(),
            uci.display()
        ),
    )
}

/// Where cargo built the real `uci` with its libraries, as part of `libuci-sys`.
#[track_caller]
fn uci() -> PathBuf {
    let build = Path::new(harness::V6KIT).parent().expect("target").join("build");
    std::fs::read_dir(&build)
        .unwrap_or_else(|error| panic!("{}: {error}", build.display()))
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("libuci-sys-"))
        .map(|entry| entry.path().join("out"))
        .find(|out| out.join("bin/uci").is_file() && out.join("lib/libubox.so").is_file())
        .unwrap_or_else(|| panic!("no uci of libuci-sys in {}", build.display()))
}
