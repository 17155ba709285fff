//! Sysctls and limits. Numbers are only ever raised.

use std::collections::BTreeSet;

use super::{Action, Importance, Step, View};
use crate::limits::{self, HIGHEST, Limits};
use crate::listeners::Protocol;
use crate::ports;
use crate::resource::{Resource, Want};
use crate::value::Value;
use crate::wanted::Purpose;

const NONLOCAL_BIND: &str = "net.ipv6.ip_nonlocal_bind";
const PORT_RANGE: &str = "net.ipv4.ip_local_port_range";
const RESERVED_PORTS: &str = "net.ipv4.ip_local_reserved_ports";
const TW_REUSE: &str = "net.ipv4.tcp_tw_reuse";
const TW_BUCKETS: &str = "net.ipv4.tcp_max_tw_buckets";
const NR_OPEN: &str = "fs.nr_open";

/// Source ports. The bounds differ in parity, as the kernel wants them (ip-sysctl.rst).
const LOWEST_PORT: u16 = 10_240;
const HIGHEST_PORT: u16 = 65_535;
/// New connections a second that a core can open, each with its request.
const CONNECTIONS_PER_CORE: u64 = 2_500;
/// More than this is not planned for: reuse of connections is what helps then.
const MOST_CONNECTIONS: u64 = 20_000;
/// TIME_WAIT lasts 60 s; half as much again is room for bursts.
const TIME_WAIT: u64 = 60;
const TIME_WAIT_WITH_ROOM: u64 = 90;
/// Memory of a connection in TIME_WAIT, in bytes, and the part of all memory they may take.
const TIME_WAIT_SIZE: u64 = 256;
const TIME_WAIT_SHARE: u64 = 32;
/// Connections that wait for accept(2).
const BACKLOG: u64 = 65_535;

impl View<'_> {
    pub(super) fn knobs(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if !self.wanted.prefix.is_this_host() {
            steps.push(self.nonlocal_bind());
        }
        steps.extend([
            // Before the range is widened over them.
            self.reserved_ports(),
            self.sysctl(
                PORT_RANGE,
                Want::PortRange {
                    low: LOWEST_PORT,
                    high: HIGHEST_PORT,
                },
                "more source ports for many connections from one address to one destination",
            ),
            self.tw_reuse(),
            self.tw_buckets(),
            self.at_least(
                NR_OPEN,
                self.wanted.nofile,
                HIGHEST,
                "the highest limit on open files that a process can be given",
            ),
            self.at_least(
                "fs.file-max",
                self.wanted.nofile.saturating_mul(2),
                2 * HIGHEST,
                "open files of all processes together",
            ),
        ]);
        if matches!(self.wanted.purpose, Purpose::Proxy | Purpose::Server) {
            steps.extend(self.listener_knobs());
        }
        steps
    }

    /// New connections a second that this machine is prepared for.
    pub(super) fn connections_per_second(&self) -> u64 {
        (self.facts.cores * CONNECTIONS_PER_CORE).min(MOST_CONNECTIONS)
    }

    fn nonlocal_bind(&self) -> Step {
        let want = Want::Exactly {
            value: "1".to_owned(),
        };
        let mut step = self.sysctl(
            NONLOCAL_BIND,
            want,
            "other programs may send from any address of the prefix, as with `curl --interface`",
        );
        // IP_FREEBIND (ip(7)) needs neither the sysctl nor a capability.
        if let Action::Skip { why, .. } = &mut step.action {
            why.push_str(": other programs cannot send from the prefix; v6kit's own sockets do without it");
        }
        step
    }

    fn reserved_ports(&self) -> Step {
        let ports = self.ports_to_reserve();
        let is_needed = !ports.is_empty() || self.is_held(&Resource::sysctl(RESERVED_PORTS));
        let step = self.sysctl(
            RESERVED_PORTS,
            Want::Ports { ports },
            "ports that services listen on are not given to outgoing connections",
        );
        match step.action {
            Action::Keep { value, .. } if !is_needed => Step {
                action: Action::Keep { want: None, value },
                ..step
            },
            _ => step,
        }
    }

    /// Ports of services that outgoing connections would now be given. A UDP socket inside the present
    /// range may be a client's, whose port was given to it.
    fn ports_to_reserve(&self) -> BTreeSet<u16> {
        let present = self
            .facts
            .sysctls
            .get(PORT_RANGE)
            .and_then(|range| range.value.as_text())
            .and_then(ports::parse_range);
        let is_given = |port| present.is_some_and(|(low, high)| (low..=high).contains(&port));
        self.facts
            .listeners
            .iter()
            .filter(|listener| listener.protocol == Protocol::Tcp || !is_given(listener.port))
            .map(|listener| listener.port)
            .filter(|port| *port >= LOWEST_PORT)
            .collect()
    }

    fn tw_reuse(&self) -> Step {
        let want = Want::Exactly {
            value: "1".to_owned(),
        };
        let step = self.sysctl(
            TW_REUSE,
            want,
            "a port in TIME_WAIT may be used again for a new connection after a second",
        );
        if self.facts.number("net.ipv4.tcp_timestamps") != Some(0) {
            return step;
        }
        Step {
            action: Action::Skip {
                value: self.facts.number(TW_REUSE).map(|value| value.to_string()),
                why: "it needs TCP timestamps, which are off".to_owned(),
                hint: "switch them on: `sudo sysctl -w net.ipv4.tcp_timestamps=1`".to_owned(),
            },
            ..step
        }
    }

    fn tw_buckets(&self) -> Step {
        let rate = self.connections_per_second();
        let affordable = self.facts.memory / TIME_WAIT_SHARE / TIME_WAIT_SIZE;
        let want = Want::AtLeast {
            need: (rate * TIME_WAIT).min(affordable),
            value: (rate * TIME_WAIT_WITH_ROOM).min(affordable),
        };
        self.sysctl(
            TW_BUCKETS,
            want,
            format!("TIME_WAIT lasts {TIME_WAIT} s, and this machine may close {rate} connections a second"),
        )
    }

    fn at_least(&self, name: &str, need: u64, raised: u64, reason: &str) -> Step {
        let value = need.max(raised);
        self.sysctl(name, Want::AtLeast { need, value }, reason)
    }

    fn listener_knobs(&self) -> Vec<Step> {
        vec![
            self.at_least(
                "net.core.somaxconn",
                BACKLOG,
                BACKLOG,
                "connections that wait for the server to accept them",
            ),
            self.at_least(
                "net.ipv4.tcp_max_syn_backlog",
                BACKLOG,
                BACKLOG,
                "connections whose handshake is under way",
            ),
            self.at_least(
                "net.ipv4.tcp_syncookies",
                1,
                1,
                "a flood of handshakes does not shut out everybody else",
            ),
        ]
    }

    /// The limit on open files of logins.
    pub(super) fn limits(&self) -> Option<Step> {
        let step = |resource, action| {
            Some(Step {
                id: "nofile".to_owned(),
                reason: "programs started from a login may open enough connections; v6kit itself raises its own limit"
                    .to_owned(),
                resource,
                importance: Importance::Helpful,
                action,
            })
        };
        let nofile = self.login_limit();
        let Some(logins) = &self.facts.logins else {
            let action = Action::Skip {
                value: None,
                why: "there is no /etc/security/limits.d here".to_owned(),
                hint: format!("where a service needs it, give its unit LimitNOFILE={nofile}"),
            };
            return step(None, action);
        };
        let limits = logins.raising(nofile, &self.held_limits());
        let (resource, action) = if limits.is_empty() {
            let action = Action::Keep {
                want: None,
                value: Some(format!("{nofile} or more")),
            };
            (None, action)
        } else {
            (Some(Resource::LimitsFile), self.limits_action(limits))
        };
        let is_conflict = matches!(action, Action::Conflict { .. } | Action::Skip { .. });
        match logins.obstacle(nofile, &limits).filter(|_| !is_conflict) {
            None => step(resource, action),
            Some(obstacle) => step(
                resource,
                Action::Partly {
                    action: Box::new(action),
                    why: obstacle.why,
                    hint: obstacle.hint,
                },
            ),
        }
    }

    /// The lines of ours that are in force.
    fn held_limits(&self) -> Limits {
        let held = self.state.held(&Resource::LimitsFile);
        let holders = held.iter().flat_map(|held| &held.holders);
        Limits::strictest(holders.filter_map(|holder| match &holder.want {
            Want::Limits(limits) => Some(limits),
            _ => None,
        }))
    }

    /// What logins can be given without locking anybody out.
    pub(super) fn login_limit(&self) -> u64 {
        let nr_open = self.facts.number(NR_OPEN).unwrap_or(HIGHEST);
        let is_raised = self
            .facts
            .sysctls
            .get(NR_OPEN)
            .is_some_and(|found| found.access == crate::sysctl::Access::Writable);
        let settable = if is_raised { HIGHEST } else { nr_open };
        self.wanted.nofile.min(settable).min(HIGHEST)
    }

    fn limits_action(&self, limits: Limits) -> Action {
        let resource = Resource::LimitsFile;
        let present = &self.facts.limits_file;
        let before = resource.describe(present);
        let want = Want::Limits(limits);
        let held = self.state.held(&resource);
        if held.is_none() && !present.is_absent() {
            return Action::Conflict {
                value: before,
                why: format!("{} is there and no setup known here has written it", limits::FILE),
                hint: format!(
                    "remove it if it is not needed, and run setup again: `sudo rm {}`",
                    limits::FILE
                ),
            };
        }
        let mut wants = held.map_or_else(Vec::new, |held| {
            held.wants_except(self.wanted.prefix, "nofile", self.here)
        });
        wants.push(&want);
        let target = resource.target(&Value::ABSENT, &wants);
        if target == *present {
            return Action::Keep {
                want: Some(want),
                value: before,
            };
        }
        if let Some(errno) = self.facts.limits_refusal {
            return Action::Skip {
                value: before,
                why: format!("/etc/security/limits.d cannot be written: {}", errno.desc()),
                hint: format!(
                    "where a service needs it, give its unit LimitNOFILE={}; for logins, make /etc writable and run setup again",
                    self.login_limit()
                ),
            };
        }
        let after = resource.describe(&target);
        Action::Change { want, before, after }
    }
}
