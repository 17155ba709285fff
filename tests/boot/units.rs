//! The units, read by systemd's own checks.

use std::process::Command;

use super::machine::{Install, Machine};
use crate::harness::{repository, run};

/// systemd-analyze(1): 10 is unprotected. A unit above this is not as strict as it could be.
const EXPOSURE: u32 = 20;

fn units(extension: &str) -> Vec<String> {
    let directory = repository().join("systemd");
    let mut units: Vec<String> = std::fs::read_dir(directory)
        .expect("the units")
        .map(|entry| entry.expect("a unit").path().display().to_string())
        .filter(|path| path.ends_with(extension))
        .collect();
    units.sort();
    units
}

#[test]
fn every_service_is_shut_in_as_far_as_its_work_allows() {
    let services = units(".service");
    assert!(services.len() >= 5, "{services:?}");
    for service in services {
        run(Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--no-pager"])
            .arg(format!("--threshold={EXPOSURE}"))
            .arg(service))
        .expect(0);
    }
}

#[test]
fn systemd_finds_nothing_to_say_about_any_unit() {
    let machine = Machine::boot(Install::Package);
    let names: Vec<String> = [".service", ".socket", ".timer"]
        .iter()
        .flat_map(|extension| units(extension))
        .map(|path| {
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            name.replace("@.", "@example.")
        })
        .collect();
    let checked = machine.run(&format!(
        "cd /usr/lib/systemd/system; systemd-analyze verify --man=no --recursive-errors=yes {} 2>&1",
        names.join(" ")
    ));
    assert_eq!(checked.stdout.trim(), "", "{checked}");
}

#[test]
fn each_service_may_do_what_it_needs_and_no_more() {
    let text = |name: &str| std::fs::read_to_string(repository().join("systemd").join(name)).expect(name);
    let value = |unit: &str, key: &str| -> Vec<String> {
        text(unit)
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{key}=")).map(ToOwned::to_owned))
            .collect()
    };
    for (unit, capabilities) in [
        ("v6kit-setup.service", "CAP_NET_ADMIN"),
        ("v6kit-check.service", "CAP_NET_ADMIN"),
        ("v6kit-addresses.service", "CAP_NET_ADMIN"),
        ("v6kit-ndp.service", "CAP_NET_RAW"),
        ("v6kit-proxy.service", ""),
        ("v6kit-crawl@.service", ""),
    ] {
        assert_eq!(value(unit, "CapabilityBoundingSet"), [capabilities], "{unit}");
        assert_eq!(value(unit, "NoNewPrivileges"), ["yes"], "{unit}");
        assert_eq!(value(unit, "ProtectSystem"), ["strict"], "{unit}");
    }
    for unit in ["v6kit-ndp.service", "v6kit-proxy.service", "v6kit-crawl@.service"] {
        let has_user = !value(unit, "DynamicUser").is_empty() || !value(unit, "User").is_empty();
        assert!(has_user, "{unit} runs as root");
        assert_eq!(value(unit, "Type"), ["notify"], "{unit}");
        assert_eq!(value(unit, "WatchdogSec").len(), 1, "{unit}");
    }
}
