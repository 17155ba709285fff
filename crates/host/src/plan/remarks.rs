//! What the user should know besides the steps: callers, and what comes from the router.

use v6kit_net::shell_word;

use super::View;
use crate::netlink::Route;
use crate::wanted::{Inbound, Purpose};

impl View<'_> {
    pub(super) fn remarks_about_callers(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let device = &self.wanted.device;
        let has_default = self.facts.routes.iter().any(Route::is_default);
        if !has_default
            && self.wanted.rotation.is_none()
            && self.facts.without_advertisements.contains(device)
        {
            remarks.push(format!(
                "this host forwards, so {device} takes no router advertisements (accept_ra=1): `sudo sysctl -w {}`",
                shell_word(&format!("net/ipv6/conf/{device}/accept_ra=2"))
            ));
        }
        if self.wanted.purpose == Purpose::Server && self.wanted.inbound == Inbound::Drop {
            remarks.push(format!(
                "new connections to {} are dropped: for a server on its addresses add --inbound allow",
                self.wanted.prefix
            ));
        }
        remarks
    }
}
