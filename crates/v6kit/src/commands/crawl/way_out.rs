//! What this host says against a crawl before its first connection.

use std::net::Ipv6Addr;
use std::path::Path;

use v6kit_crawl::Settings;
use v6kit_net::Ipv6;

use crate::commands::sources::setup_command;
use crate::failure::{Exit, Failure};

/// Looks whether answers can come to this host at all. Through a proxy they may come over IPv4.
///
/// # Errors
/// They cannot. What cannot be found out is no reason.
pub(super) async fn look(settings: &Settings, state_dir: &Path) -> Result<(), Failure> {
    if settings.proxy.is_some() {
        return Ok(());
    }
    if let Some(why) = without_ipv6(Ipv6::here(), has_loopback()) {
        return Err(not_started(why).hint(
            "switch IPv6 on (`sysctl -a -r disable_ipv6` shows where it is off), then repeat the command",
        ));
    }
    let Some(sources) = &settings.sources else {
        return Ok(());
    };
    let prefix = sources.prefix;
    match v6kit_host::is_delivered(prefix).await {
        Ok(false) => {
            let why = format!(
                "{prefix} is not delivered to this host, so no answer would arrive: nothing was sent"
            );
            Err(not_started(why).hint(format!("run `{}`", setup_command(prefix, state_dir))))
        }
        Ok(true) => Ok(()),
        Err(error) => {
            tracing::debug!("no look at the routes: {error}");
            Ok(())
        }
    }
}

fn not_started(why: String) -> Failure {
    Failure::new(Exit::OutOfService, "the crawl was not started").why(why)
}

/// Why nothing can be reached over IPv6, not even this host itself.
fn without_ipv6(ipv6: Ipv6, has_loopback: bool) -> Option<String> {
    match ipv6 {
        Ipv6::NotInKernel => Some("this host's kernel has no IPv6: nothing was sent".to_owned()),
        Ipv6::Off { settings } if !has_loopback => Some(format!(
            "IPv6 is switched off on this host ({} is 1): nothing was sent",
            settings.join(", ")
        )),
        Ipv6::Off { .. } | Ipv6::NoAddress | Ipv6::On => None,
    }
}

/// Whether `::1` is an address of this host.
fn has_loopback() -> bool {
    std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_switched_off_on_one_device_stops_no_crawl_of_this_host_itself() {
        let off = || Ipv6::Off {
            settings: vec!["net.ipv6.conf.all.disable_ipv6".to_owned()],
        };
        let why = without_ipv6(off(), false).unwrap();
        assert!(
            why.contains("switched off on this host (net.ipv6.conf.all.disable_ipv6 is 1)"),
            "{why}"
        );
        assert_eq!(without_ipv6(off(), true), None);
        assert_eq!(without_ipv6(Ipv6::NoAddress, true), None);
        assert!(without_ipv6(Ipv6::NotInKernel, false).is_some());
    }
}
