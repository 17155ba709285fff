//! What the scripts accept as a value, run by busybox ash.

use std::process::Command;

use crate::harness::{Run, repository, run};

fn files() -> std::path::PathBuf {
    repository().join("openwrt/v6kit-router/files")
}

/// Runs ash code with `values.sh` loaded.
#[track_caller]
fn ash(code: &str) -> Run {
    let library = files().join("usr/lib/v6kit-router/values.sh");
    run(Command::new("busybox").args(["ash", "-euc", &format!(". {}\n{code}", library.display())]))
}

#[test]
fn addresses_are_written_as_the_kernel_writes_them() {
    for (given, expected) in [
        ("::", "::"),
        ("::1", "::1"),
        ("1::", "1::"),
        ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("0:0:1::", "0:0:1::"),
        ("fe80:0000:0000:0000:0001:0002:0003:0004", "fe80::1:2:3:4"),
    ] {
        let canonical = given.parse::<std::net::Ipv6Addr>().unwrap().to_string();
        assert_eq!(canonical, expected, "the expectation itself");
        assert_eq!(
            ash(&format!("canonical_address {given}; echo $address"))
                .expect(0)
                .stdout
                .trim(),
            expected
        );
    }
}

#[test]
fn what_is_no_address_is_refused() {
    for text in [
        "",
        ":",
        ":::",
        "1::2::3",
        ":1",
        "1:",
        "12345::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::g",
        "fe80::1%eth0",
        "::ffff:192.0.2.1",
        "fe80::1;reboot",
        "fe80::1 fe80::2",
        "$(reboot)",
        "fe80::1\n",
        "fe80::1\n::2",
        "`reboot`",
        "'fe80::1",
        "-e",
        "*",
    ] {
        let quoted = text.replace('\'', "'\\''");
        ash(&format!("is_address '{quoted}'")).expect(1);
        ash(&format!("is_link_local '{quoted}'")).expect(1);
        ash(&format!("is_prefix '{quoted}/64'")).expect(1);
    }
}

#[test]
fn a_prefix_has_a_length_and_no_host_bits() {
    for good in ["2001:db8::/32", "2001:db8::1/128", "2001:db8:1:2:abcd::/80"] {
        ash(&format!("is_prefix {good}")).expect(0);
    }
    for bad in [
        "2001:db8::1/64",
        "2001:db8::",
        "::/0",
        "1::/129",
        "1::/064",
        "1::/6a",
        "1::/64/64",
        "/64",
        "1::/",
    ] {
        ash(&format!("is_prefix '{bad}'")).expect(1);
    }
}

#[test]
fn the_inner_part_is_placed_into_the_delegated_prefix() {
    for (base, part, expected) in [
        ("2001:db8:1:2::/64", "::abcd:0:0:0/80", "2001:db8:1:2:abcd::/80"),
        ("2001:db8:1:200::/56", "0:0:0:3::/64", "2001:db8:1:203::/64"),
        // What lies in front of the base's length is the base's, whatever the part says.
        (
            "2001:db8:1:200::/56",
            "ffff:ffff:ffff:ff03::/64",
            "2001:db8:1:203::/64",
        ),
        ("2001:db8:1:250::/60", "0:0:0:f:1::/80", "2001:db8:1:25f:1::/80"),
    ] {
        let run = ash(&format!("place_prefix {base} {part}; echo $prefix")).expect(0);
        assert_eq!(run.stdout.trim(), expected);
    }
    ash("place_prefix 2001:db8:1:2::/64 0:0:0:3::/64").expect(1);
}

#[test]
fn names_and_devices_are_what_they_should_be() {
    for good in ["br-lan", "pppoe-wan", "eth1.2", "wlan0_1", "eth0@if3"] {
        ash(&format!("is_device {good}")).expect(0);
    }
    for bad in [
        "",
        ".",
        "..",
        "-x",
        "a b",
        "a\nb",
        "a;b",
        "a/b",
        "\"a",
        "sixteen-letters-",
        "$x",
    ] {
        ash(&format!("is_device '{bad}'")).expect(1);
    }
    ash("is_name wan6").expect(0);
    for bad in ["", "a-b", "a.b", "a b", "a=b", "@x[0]", "a\nb"] {
        ash(&format!("is_name '{bad}'")).expect(1);
    }
}

#[test]
fn every_script_passes_the_checker() {
    let files = files();
    let library = [
        "values",
        "settings",
        "network",
        "wanted",
        "route",
        "firewall",
        "conntrack",
        "differences",
        "report",
    ]
    .map(|name| files.join(format!("usr/lib/v6kit-router/{name}.sh")));
    run(Command::new("shellcheck")
        .args(["-s", "dash"])
        .args(library)
        .args([
            files.join("etc/init.d/v6kit-router"),
            files.join("etc/hotplug.d/iface/90-v6kit-router"),
            files.join("etc/uci-defaults/90-v6kit-router"),
        ]))
    .expect(0);
    run(Command::new("shellcheck")
        .args(["-x", "-s", "dash"])
        .arg(files.join("usr/sbin/v6kit-router")))
    .expect(0);
}
