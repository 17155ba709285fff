//! The plan: what has to be changed, what is in order, what cannot be done here. A pure function.

mod conntrack;
mod firewall;
mod forwarding;
mod knobs;
mod neighbours;
mod remarks;
mod rotation;
mod route;

#[cfg(test)]
mod tests;

pub(crate) use rotation::{ID as ROTATION, comes_first};
pub(crate) use route::discarded;

use crate::delivery::Placement;
use crate::error::HostError;
use crate::facts::Facts;
use crate::netlink::Link;
use crate::place::Place;
use crate::resource::{Resource, Want};
use crate::state::State;
use crate::sysctl::Access;
use crate::trial::Trial;
use crate::wanted::{CutOff, Span, Wanted};

/// What setup will do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// What the user should know besides.
    pub(crate) remarks: Vec<String>,
    /// Open files that a login is to get.
    pub(crate) login_limit: u64,
    /// What untracked connections are tried with, and what may stand against them.
    pub(crate) trial: Trial,
}

/// One thing that the host needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Its name: `route`, or that of a sysctl.
    pub(crate) id: String,
    /// Why it is needed.
    pub(crate) reason: String,
    /// What it is about.
    pub(crate) resource: Option<Resource>,
    pub(crate) importance: Importance,
    pub(crate) action: Action,
}

/// What becomes of a setup when a step cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Importance {
    /// Without it nothing works: everything is undone.
    Essential,
    /// It is skipped with the reason.
    Helpful,
}

/// What becomes of a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// It is done.
    Change {
        want: Want,
        before: Option<String>,
        after: Option<String>,
    },
    /// It is in order; with a want where somebody could change that.
    Keep {
        want: Option<Want>,
        value: Option<String>,
    },
    /// It cannot be done here.
    Skip {
        value: Option<String>,
        why: String,
        hint: String,
    },
    /// It is done, or in order, and something that is not ours still stands against it.
    Partly {
        action: Box<Action>,
        why: String,
        hint: String,
    },
    /// Something that is not ours stands against it.
    Conflict {
        value: Option<String>,
        why: String,
        hint: String,
    },
}

/// What to do on a host of these `facts` and of this `state` to get what is `wanted`.
///
/// Inbound protection and the routes of those inside the prefix come before the route that opens it; what is tried
/// by a connection comes after it.
pub(crate) fn plan(facts: &Facts, state: &State, here: &Place, wanted: &Wanted) -> Result<Plan, HostError> {
    let view = View {
        facts,
        state,
        here,
        wanted,
        placement: facts.tables().placement(wanted.prefix, &wanted.device),
    };
    if wanted.prefix.is_this_host() {
        return Ok(view.plan_without_prefix());
    }
    for device in [&wanted.device, &wanted.route_device] {
        view.require_device(device)?;
    }
    view.require_arrival(&wanted.device)?;
    let neighbours = view.neighbours();
    let mut steps = vec![view.inbound()];
    steps.extend(neighbours.steps);
    steps.push(view.route(&neighbours.cut_off)?);
    steps.extend(view.rotation());
    steps.extend(view.conntrack());
    steps.extend(view.knobs());
    if wanted.span == Span::Lasting {
        steps.extend(view.limits());
    }
    let mut remarks = view.remarks();
    if wanted.cut_off == CutOff::Accept {
        remarks.extend(neighbours.cut_off.iter().map(|lost| format!("cut off: {lost}")));
    }
    remarks.extend(view.remarks_about_callers());
    remarks.extend(view.rotation_remarks());
    Ok(Plan {
        steps,
        remarks,
        login_limit: view.login_limit(),
        trial: view.trial(),
    })
}

/// Everything that a step is decided by.
struct View<'a> {
    facts: &'a Facts,
    state: &'a State,
    here: &'a Place,
    wanted: &'a Wanted,
    /// Where the route has to lie.
    placement: Placement,
}

impl View<'_> {
    fn require_device(&self, device: &str) -> Result<(), HostError> {
        if self.facts.link(device).is_none() {
            return Err(HostError::NoDevice {
                device: device.to_owned(),
                devices: if device == self.wanted.device {
                    self.arrivals()
                } else {
                    self.facts.links.iter().map(|link| link.name.clone()).collect()
                },
            });
        }
        if let Some(mtu) = self.facts.link(device).and_then(Link::below_ipv6) {
            return Err(HostError::MtuTooSmall {
                device: device.to_owned(),
                mtu,
            });
        }
        let without = &self.facts.without_ipv6;
        if without.iter().any(|name| name == device) {
            let is_everywhere = self.facts.links.iter().all(|link| without.contains(&link.name));
            return Err(HostError::Ipv6Off {
                device: if is_everywhere { "all" } else { device }.to_owned(),
            });
        }
        Ok(())
    }

    /// What is done for a host that has no part in IPv6, or none that can be told.
    fn plan_without_prefix(&self) -> Plan {
        let mut steps = self.conntrack();
        steps.extend(self.knobs());
        steps.extend(self.limits());
        Plan {
            steps,
            remarks: vec![
                "no device has an IPv6 address that others reach, so nothing is done for IPv6: once it has one, run setup again"
                    .to_owned(),
            ],
            login_limit: self.login_limit(),
            trial: self.trial(),
        }
    }

    /// The devices that packets from others come in by.
    fn arrivals(&self) -> Vec<String> {
        let arrives = self
            .facts
            .links
            .iter()
            .filter(|link| !link.is_loopback && link.port_of.is_none());
        arrives.map(|link| link.name.clone()).collect()
    }

    /// Whether packets from the router can arrive on the device.
    fn require_arrival(&self, device: &str) -> Result<(), HostError> {
        let Some(link) = self.facts.link(device) else {
            return Ok(());
        };
        let device = device.to_owned();
        if link.is_loopback {
            return Err(HostError::Loopback {
                device,
                devices: self.arrivals(),
            });
        }
        match link.port_of {
            None => Ok(()),
            Some(_) => Err(HostError::BridgePort {
                device,
                above: self.facts.link_name(link.port_of).to_owned(),
            }),
        }
    }

    /// Whether some prefix holds the resource in this boot.
    fn is_held(&self, resource: &Resource) -> bool {
        self.state
            .held(resource)
            .is_some_and(|held| held.is_live(self.here))
    }

    fn sysctl(&self, name: &str, want: Want, reason: impl Into<String>) -> Step {
        Step {
            id: name.to_owned(),
            reason: reason.into(),
            resource: Some(Resource::sysctl(name)),
            importance: Importance::Helpful,
            action: self.sysctl_action(name, want),
        }
    }

    fn sysctl_action(&self, name: &str, want: Want) -> Action {
        let Some(found) = self
            .facts
            .sysctls
            .get(name)
            .filter(|found| !found.value.is_absent())
        else {
            return Action::Skip {
                value: None,
                why: format!("this kernel has no {name}"),
                hint: "nothing to do: it is helpful, not necessary".to_owned(),
            };
        };
        let resource = Resource::sysctl(name);
        let value = resource.describe(&found.value);
        if want.is_met(&found.value) {
            return Action::Keep {
                want: Some(want),
                value,
            };
        }
        let after = resource.describe(&resource.target(&found.value, &[&want]));
        match found.access {
            Access::Writable => Action::Change {
                want,
                before: value,
                after,
            },
            Access::ReadOnlyMount => Action::Skip {
                value,
                why: "/proc/sys is read-only here".to_owned(),
                hint: read_only_hint(name, after.as_deref().unwrap_or_default()),
            },
            Access::NeedsRoot | Access::Denied => Action::Skip {
                value,
                why: denied_reason(name).to_owned(),
                hint: denied_hint(name, after.as_deref().unwrap_or_default()),
            },
        }
    }
}

fn read_only_hint(name: &str, value: &str) -> String {
    if name.starts_with("net.") {
        format!("start the container with `--sysctl '{name}={value}'`, or run setup on its host")
    } else {
        denied_hint(name, value)
    }
}

fn denied_reason(name: &str) -> &'static str {
    if name.starts_with("fs.") {
        "only root of the initial user namespace may set it"
    } else if name.starts_with("net.netfilter.") {
        "only the initial network namespace may set it"
    } else {
        "CAP_NET_ADMIN is missing where this network namespace belongs"
    }
}

fn denied_hint(name: &str, value: &str) -> String {
    format!("set it on the host itself: `sudo sysctl -w {name}='{value}'`")
}
