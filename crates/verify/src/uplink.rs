//! Whether the host's own address reaches an endpoint.

use std::net::Ipv6Addr;
use std::time::Duration;

use tokio::time::Instant;
use v6kit_net::{Code, DialError, ResolveError, chain};

use crate::endpoint::Endpoint;
use crate::probe::{Afterwards, ProbeError, Reply, Session, Target};
use crate::report::Check;
use crate::routes::{Routes, RoutesError};

const ID: &str = "uplink";

/// Somewhere in the addresses that are routed worldwide (2000::/3); only looked up, never sent to.
const ANYWHERE: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1);

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

/// Asks the endpoints in turn until one answers, giving each `patience`.
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
                uplink.answered = Some((target, reply));
                uplink.established = Some(session);
                break;
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

    /// The check, with what is missing where nobody answered.
    pub(crate) async fn check(&self, routes: &Routes) -> Result<Check, RoutesError> {
        if let Some((target, reply)) = &self.answered {
            let mut detail = format!("{} answers {}", target.endpoint, reply.bound);
            if !reply.matches() {
                detail = format!("{detail}, which it sees as {}", reply.reported);
            }
            return Ok(Check::ok(ID, detail));
        }
        let no_default_route = routes.way_out(ANYWHERE).await?.is_none();
        let Some((endpoint, error)) = self.errors.first() else {
            return Ok(Check::failed(ID, "there is no endpoint to ask"));
        };
        let reason = chain(error);
        let others = match self.errors.len() - 1 {
            0 => String::new(),
            n => format!(", nor do {n} others"),
        };
        let failed = |what: &str| {
            Check::failed(
                ID,
                format!("{what}: {endpoint} does not answer ({reason}){others}"),
            )
        };
        Ok(if no_default_route && is_about_the_way(error) {
            failed("there is no default IPv6 route").hint(
                Code::NoUplink,
                "add one: `ip -6 route add default via ROUTER dev DEV`, or see why no router advertisement gives one: `ip -6 route show default`",
            )
        } else {
            failed("no answer to this host's own address").hint_of(error)
        })
    }
}

/// Whether the error can come from a missing route rather than from the endpoint.
fn is_about_the_way(error: &ProbeError) -> bool {
    matches!(
        error,
        ProbeError::Dial(DialError::NoRoute { .. })
            | ProbeError::Resolve(ResolveError::NotFound { .. } | ResolveError::TimedOut { .. })
    )
}
