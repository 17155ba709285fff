//! Whether packets pass this host, and what becomes of router advertisements then.

use v6kit_net::shell_word;

use super::rotation::list;
use super::{Action, Importance, Step, View};
use crate::facts::FORWARDING;
use crate::netlink::Route;
use crate::resource::{Resource, Want};
use crate::sysctl;
use crate::wanted::Rotation;

/// The steps' names.
const FORWARDING_ID: &str = "forwarding";
const ADVERTISEMENTS_ID: &str = "accept_ra";
/// RTPROT_RA: the route of a router advertisement (rtnetlink(7)).
const RA_PROTOCOL: u8 = 9;

impl View<'_> {
    /// Whether packets pass this host. It is looked at and never switched on.
    pub(super) fn forwarding(&self, wish: &Rotation) -> Step {
        let found = self.facts.sysctls.get(FORWARDING);
        let value = found.and_then(|found| found.value.as_text().map(ToOwned::to_owned));
        let want = Want::Exactly {
            value: "1".to_owned(),
        };
        let is_on = found.is_some_and(|found| want.is_met(&found.value));
        let step = |resource, action| Step {
            id: FORWARDING_ID.to_owned(),
            reason: format!("what comes from {} passes this host", list(&wish.from)),
            resource,
            importance: Importance::Helpful,
            action,
        };
        if is_on {
            let action = Action::Keep {
                want: Some(want),
                value,
            };
            return step(Some(Resource::sysctl(FORWARDING)), action);
        }
        let device = &self.wanted.device;
        let accept_ra = sysctl::of_device(device, "accept_ra");
        let (meaning, first) = match self.facts.number(&accept_ra) {
            Some(1) if self.has_advertised_default() => (
                format!(
                    "switched on, {device} takes no router advertisements any more (accept_ra=1), and the default route that came by one goes at once: accept_ra=2 first keeps it"
                ),
                true,
            ),
            Some(1) => (
                format!(
                    "switched on, {device} takes no router advertisements any more (accept_ra=1), if it does not get accept_ra=2 first"
                ),
                true,
            ),
            Some(2) => (
                format!("{device} goes on taking router advertisements then (accept_ra=2)"),
                false,
            ),
            Some(other) => (
                format!(
                    "the kernel takes no router advertisements on {device} now either (accept_ra={other})"
                ),
                false,
            ),
            None => (
                "whether router advertisements are taken then cannot be read here".to_owned(),
                false,
            ),
        };
        let first = if first {
            format!("{} ", shell_word(&format!("{accept_ra}=2")))
        } else {
            String::new()
        };
        let action = Action::Conflict {
            value,
            why: format!(
                "IPv6 forwarding is off, so nothing of {} passes this host or is translated. It is not switched on here: {meaning}",
                list(&wish.from)
            ),
            hint: format!("`sudo sysctl -w {first}{FORWARDING}=1`, and run setup again, which looks"),
        };
        step(None, action)
    }

    /// Whether the uplink goes on taking router advertisements while this host forwards.
    pub(super) fn advertisements(&self) -> Option<Step> {
        if self.facts.number(FORWARDING) != Some(1) {
            return None;
        }
        let device = &self.wanted.device;
        let name = sysctl::of_device(device, "accept_ra");
        let found = self.facts.number(&name)?;
        let value = Some(found.to_string());
        let want = Want::Exactly {
            value: "2".to_owned(),
        };
        let defaults = self.facts.routes.iter().filter(|route| route.is_default());
        let (resource, action, reason) = match found {
            2 => (
                Some(Resource::sysctl(&name)),
                Action::Keep {
                    want: Some(want),
                    value,
                },
                format!("{device} takes router advertisements although this host forwards"),
            ),
            1 if self.has_advertised_default() || defaults.count() == 0 => (
                None,
                Action::Conflict {
                    value,
                    why: if self.has_advertised_default() {
                        format!(
                            "this host forwards, so {device} takes no router advertisements (accept_ra=1), and the default route that came by one ends with its lifetime"
                        )
                    } else {
                        format!(
                            "this host forwards, so {device} takes no router advertisements (accept_ra=1), and there is no default route"
                        )
                    },
                    hint: format!("`sudo sysctl -w {}`", shell_word(&format!("{name}=2"))),
                },
                String::new(),
            ),
            _ => (
                None,
                Action::Keep { want: None, value },
                "the default route did not come by the kernel's router advertisements".to_owned(),
            ),
        };
        Some(Step {
            id: ADVERTISEMENTS_ID.to_owned(),
            reason,
            resource,
            importance: Importance::Helpful,
            action,
        })
    }

    fn has_advertised_default(&self) -> bool {
        let link = self.facts.link(&self.wanted.device).map(|link| link.index);
        let is_advertised = |route: &Route| route.protocol == RA_PROTOCOL && route.link == link;
        self.facts
            .routes
            .iter()
            .any(|route| route.is_default() && is_advertised(route))
    }
}
