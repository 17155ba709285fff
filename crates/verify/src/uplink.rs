//! Whether the host's own address reaches an endpoint.

use std::net::Ipv6Addr;
use std::time::Duration;

use tokio::time::Instant;
use v6kit_net::{
    Code, DialError, IPV6_MIN_MTU, ResolveError, below_ipv6, chain, ignoring_advertisements, in_sysctl,
    shell_word,
};

use crate::endpoint::Endpoint;
use crate::evidence::{Evidence, Observation};
use crate::probe::{Afterwards, ProbeError, Reply, Session, Target};
use crate::report::Check;
use crate::routes::{Routes, RoutesError};

const ID: &str = "uplink";

/// Somewhere in the addresses that are routed worldwide (2000::/3); only looked up, never sent to.
pub(crate) const ANYWHERE: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1);

/// What came of asking the endpoints from the host's own address.
#[derive(Debug)]
pub(crate) struct Uplink {
    /// The endpoint that answered and its answer.
    pub(crate) answered: Option<(Target, Reply)>,
    /// The connection on which it did, kept to see later whether it still does.
    pub(crate) established: Option<Session>,
    /// Those that were resolved before and did not answer.
    pub(crate) silent: Vec<Target>,
    errors: Vec<(Endpoint, ProbeError)>,
}

/// Asks the endpoints in turn until one tells the address, giving each `patience`. One that tells another address is
/// taken where none tells this one.
pub(crate) async fn find(endpoints: &[Endpoint], patience: Duration) -> Uplink {
    let mut uplink = Uplink {
        answered: None,
        established: None,
        silent: Vec::new(),
        errors: Vec::new(),
    };
    for endpoint in endpoints {
        let deadline = Instant::now() + patience;
        let target = match Target::resolve(endpoint, deadline).await {
            Ok(target) => target,
            Err(error) => {
                uplink.errors.push((endpoint.clone(), error));
                continue;
            }
        };
        match ask_and_keep(&target, deadline).await {
            Ok((reply, session)) => {
                if reply.matches() || uplink.answered.is_none() {
                    uplink.answered = Some((target, reply));
                    uplink.established = Some(session);
                }
                if reply.matches() {
                    break;
                }
            }
            Err(error) => {
                uplink.errors.push((endpoint.clone(), error));
                uplink.silent.push(target);
            }
        }
    }
    uplink
}

async fn ask_and_keep(target: &Target, deadline: Instant) -> Result<(Reply, Session), ProbeError> {
    let mut session = target.open(None, deadline).await?;
    let reply = session.ask(Afterwards::Keep, deadline).await?;
    Ok((reply, session))
}

impl Uplink {
    /// Whether every endpoint was silent: no connection came about, and nobody said why.
    pub(crate) fn is_silent(&self) -> bool {
        self.answered.is_none()
            && !self.errors.is_empty()
            && self.errors.iter().all(|(_, error)| error.no_connection_in_time())
    }

    /// The answer to the host's own address.
    pub(crate) fn reply(&self) -> Option<Reply> {
        self.answered.as_ref().map(|(_, reply)| *reply)
    }

    /// The endpoint that answered, or else one that was resolved.
    pub(crate) fn any_target(&self) -> Option<&Target> {
        let answered = self.answered.as_ref().map(|(target, _)| target);
        answered.or(self.silent.first())
    }

    /// What came of it. `has_default` says that this host has a default route.
    pub(crate) fn observe(&self, has_default: bool, evidence: &mut Evidence) {
        if self.answered.is_some() {
            return evidence.add_if(true, Observation::OwnAnswered);
        }
        let any = |wanted: fn(&ProbeError) -> bool| self.errors.iter().any(|(_, error)| wanted(error));
        let all = |wanted: fn(&ProbeError) -> bool| self.errors.iter().all(|(_, error)| wanted(error));
        let seen = if self.errors.is_empty() {
            return;
        } else if any(ProbeError::was_connected) || any(ProbeError::was_refused) {
            Observation::EndpointOther
        } else if has_default && all(ProbeError::is_about_name_servers) {
            Observation::NamesFailed
        } else if has_default && all(ProbeError::is_before_dialling) {
            Observation::EndpointOther
        } else {
            Observation::OwnSilent
        };
        evidence.add_if(true, seen);
    }

    /// The endpoint that says most about why no address was told, and what it said: one that was reached before one
    /// that was not.
    pub(crate) fn error(&self) -> Option<&(Endpoint, ProbeError)> {
        let reached = |(_, error): &&(Endpoint, ProbeError)| error.was_connected() || error.was_refused();
        self.errors.iter().find(reached).or(self.errors.first())
    }

    /// The check, with what is missing where nobody answered.
    pub(crate) fn check(&self, has_default: bool) -> Check {
        if let Some((target, reply)) = &self.answered {
            let mut detail = format!("{} answers {}", target.endpoint, reply.bound);
            if !reply.matches() {
                detail = format!("{detail}, which it sees as {}", reply.reported);
            }
            return Check::ok(ID, detail);
        }
        let Some((endpoint, error)) = self.error() else {
            return Check::failed(ID, "there is no endpoint to ask");
        };
        let reason = chain(error);
        let others = match self.errors.len() - 1 {
            0 => String::new(),
            n => format!(", nor do {n} others"),
        };
        if error.was_connected() || error.was_refused() {
            let others = match self.errors.len() - 1 {
                0 => String::new(),
                n => format!(", and {n} others tell none either"),
            };
            return Check::failed(ID, format!("no address is told: {reason}{others}")).hint_of(error);
        }
        let failed = |what: &str| {
            Check::failed(
                ID,
                format!("{what}: {endpoint} does not answer ({reason}){others}"),
            )
        };
        if !has_default && is_about_the_way(error) {
            failed("there is no default IPv6 route").hint(
                Code::NoUplink,
                default_route_hint(&below_ipv6(), &ignoring_advertisements()),
            )
        } else {
            failed("no answer to this host's own address").hint_of(error)
        }
    }
}

/// Whether this host has a default route.
pub(crate) async fn has_default(routes: &Routes) -> Result<bool, RoutesError> {
    Ok(routes.way_out(ANYWHERE).await?.is_some())
}

/// What to do where there is none; `below` are devices whose MTU is too small for IPv6, `ignoring` those on which the
/// kernel ignores router advertisements.
fn default_route_hint(below: &[(String, u32)], ignoring: &[String]) -> String {
    if let [(device, mtu), ..] = below {
        return format!(
            "{device} carries no IPv6, as its MTU is {mtu}: where the way out leads by it, `sudo ip link set {} mtu {IPV6_MIN_MTU}`, and its addresses and routes have to be set again",
            shell_word(device)
        );
    }
    match ignoring {
        [] => "add one (sudo ip -6 route add default via ROUTER dev DEV), or see why no router advertisement gives one: `ip -6 route show default`".to_owned(),
        devices => {
            let settings: Vec<String> = devices
                .iter()
                .map(|device| format!("net.ipv6.conf.{}.accept_ra=2", in_sysctl(device)))
                .collect();
            format!(
                "forwarding is on and accept_ra is 1 on {}: the kernel ignores router advertisements there, and the default routes that they bring; `sudo sysctl -w {}` takes them again",
                devices.join(", "),
                settings.join(" ")
            )
        }
    }
}

/// Whether the error can come from a missing route rather than from the endpoint.
fn is_about_the_way(error: &ProbeError) -> bool {
    matches!(
        error,
        ProbeError::Dial(DialError::NoRoute { .. } | DialError::NoAddress { .. })
            | ProbeError::Resolve(
                ResolveError::NotFound { .. }
                    | ResolveError::NameServers { .. }
                    | ResolveError::TimedOut { .. }
            )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uplink(errors: Vec<ProbeError>) -> Uplink {
        let endpoint: Endpoint = "http://[2001:db8:80::80]/".parse().unwrap();
        Uplink {
            answered: None,
            established: None,
            silent: Vec::new(),
            errors: errors
                .into_iter()
                .map(|error| (endpoint.clone(), error))
                .collect(),
        }
    }

    fn silence() -> ProbeError {
        let to = "[2001:db8:80::80]:80".parse().unwrap();
        ProbeError::Dial(DialError::TimedOut { to })
    }

    fn refusal() -> ProbeError {
        let to = "[2001:db8:80::80]:80".parse().unwrap();
        ProbeError::Dial(DialError::Refused { to })
    }

    fn names() -> ProbeError {
        let host = "h.example".to_owned();
        ProbeError::Resolve(ResolveError::TimedOut { host })
    }

    fn unknown() -> ProbeError {
        ProbeError::Resolve(ResolveError::NotFound {
            host: "h.example".to_owned(),
            source: std::io::Error::other("Name or service not known"),
        })
    }

    #[test]
    fn what_an_endpoint_said_decides_what_is_known_of_the_uplink() {
        for (errors, has_default, expected) in [
            (vec![silence()], true, Observation::OwnSilent),
            (vec![silence(), refusal()], true, Observation::EndpointOther),
            (vec![names(), names()], true, Observation::NamesFailed),
            // Without a way, name servers are the least of it.
            (vec![names()], false, Observation::OwnSilent),
            (vec![names(), silence()], true, Observation::OwnSilent),
            (vec![unknown()], true, Observation::EndpointOther),
        ] {
            let mut evidence = Evidence::default();
            let uplink = uplink(errors);
            uplink.observe(has_default, &mut evidence);
            assert_eq!(evidence, Evidence::of(&[expected]), "{uplink:?}");
        }
    }

    #[test]
    fn an_endpoint_that_said_no_is_not_said_to_be_silent() {
        let check = uplink(vec![silence(), refusal()]).check(true);
        assert!(check.detail.contains("refused the connection"), "{check:?}");
        assert!(!check.detail.contains("does not answer"), "{check:?}");
    }

    #[test]
    fn a_kernel_that_ignores_advertisements_is_named_with_the_setting() {
        let hint = default_route_hint(&[], &["eth0".to_owned()]);
        assert!(
            hint.contains("`sudo sysctl -w net.ipv6.conf.eth0.accept_ra=2`"),
            "{hint}"
        );
        assert!(default_route_hint(&[], &[]).contains("ip -6 route add default"));
    }
}
