//! Whether a table of tracked connections is full, on the way or here.
//!
//! A stateful router whose table is full forwards what it knows and drops the first packet of everything
//! else without a word (nf_conntrack: `table full, dropping packet`). Seen from a host, established
//! connections go on while new ones hang, from whichever address.

use std::net::Ipv6Addr;
use std::time::Duration;

use tokio::time::Instant;
use v6kit_net::chain;

use crate::egress;
use crate::limits::{self, Table};
use crate::probe::{Afterwards, ProbeError, Reply, Session, Target};
use crate::report::Check;

/// New connections from the host's own address that are tried.
const NEW: usize = 16;

/// One in this many new connections that hang is more than loss explains: the kernel sends each SYN
/// several times within a usual `--timeout`.
const SUSPICIOUS: usize = 4;

/// The name of the check.
pub(crate) const ID: &str = "tracking";

/// What was seen of established and of new connections, at the same time.
#[derive(Debug)]
pub(crate) struct Tracking {
    /// The answer on the connection from before; `None` where there was none.
    established: Option<Result<Reply, ProbeError>>,
    /// New connections from the host's own address.
    tried: usize,
    hanging: usize,
    /// This host's own table.
    here: Option<Table>,
}

/// Asks once more on `established`, and on new connections from `own`.
pub(crate) async fn look(
    target: &Target,
    established: Option<&mut Session>,
    own: Option<Ipv6Addr>,
    patience: Duration,
) -> Tracking {
    let from = own.map(|own| [own; NEW]);
    let new = egress::ask_from(target, from.as_ref().map_or(&[], |from| &from[..]), patience).await;
    let established = match established {
        Some(session) => Some(session.ask(Afterwards::Keep, Instant::now() + patience).await),
        None => None,
    };
    let hanging = |failure: &&egress::Failure| failure.error.no_connection_in_time();
    Tracking {
        established,
        tried: new.replies.len() + new.failures.len(),
        hanging: new.failures.iter().filter(hanging).count(),
        here: limits::table(),
    }
}

impl Tracking {
    /// This host's own table, where it is full and nothing shows that new connections come about all the
    /// same.
    pub(crate) fn full_here(&self) -> Option<Table> {
        let hangs = self.tried == 0 || self.hanging > 0;
        self.here.filter(|table| hangs && table.is_full())
    }

    /// Whether it looks as if a table on the way was full.
    pub(crate) fn looks_full(&self) -> bool {
        matches!(self.established, Some(Ok(_))) && self.hanging > 0 && self.hanging * SUSPICIOUS >= self.tried
    }

    pub(crate) fn check(&self) -> Check {
        if let Some(Table { count, max }) = self.full_here() {
            return Check::failed(
                ID,
                format!("this host's own table is full: {count} of {max} connections"),
            );
        }
        let Self { tried, hanging, .. } = self;
        match &self.established {
            None => Check::skipped(ID, "no connection was made before that could still be answered"),
            Some(Err(error)) => Check::skipped(
                ID,
                format!(
                    "the connection from before is not answered any more: {}",
                    chain(error)
                ),
            ),
            Some(Ok(reply)) if self.looks_full() => Check::failed(
                ID,
                format!(
                    "{hanging} of {tried} new connections from {0} hang, while an established one from {0} is still answered",
                    reply.bound
                ),
            ),
            Some(Ok(reply)) => Check::ok(
                ID,
                format!(
                    "{} of {tried} new connections from {} come about",
                    tried - hanging,
                    reply.bound
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use v6kit_net::DialError;

    use super::*;
    use crate::report::Outcome;

    const OWN: Ipv6Addr = Ipv6Addr::LOCALHOST;

    fn seen(established: Option<bool>, hanging: usize) -> Tracking {
        let reply = Reply {
            bound: OWN,
            reported: OWN.into(),
        };
        let silence = || {
            ProbeError::Dial(DialError::TimedOut {
                to: "[2001:db8::80]:80".parse().unwrap(),
            })
        };
        Tracking {
            established: established.map(|answered| if answered { Ok(reply) } else { Err(silence()) }),
            tried: NEW,
            hanging,
            here: None,
        }
    }

    #[test]
    fn a_table_looks_full_only_while_an_established_connection_is_answered() {
        for (established, hanging, outcome) in [
            (Some(true), NEW, Outcome::Failed),
            (Some(true), NEW / 4, Outcome::Failed),
            (Some(true), 1, Outcome::Ok),
            (Some(true), 0, Outcome::Ok),
            (Some(false), NEW, Outcome::Skipped),
            (None, NEW, Outcome::Skipped),
        ] {
            let tracking = seen(established, hanging);
            assert_eq!(tracking.looks_full(), outcome == Outcome::Failed);
            assert_eq!(tracking.check().outcome, outcome, "{tracking:?}");
        }
    }

    #[test]
    fn a_full_table_here_is_named_with_its_numbers() {
        let here = Some(Table {
            count: 65_536,
            max: 65_536,
        });
        let check = Tracking {
            here,
            ..seen(None, NEW)
        }
        .check();
        assert_eq!(check.outcome, Outcome::Failed);
        assert!(check.detail.contains("65536 of 65536"), "{check:?}");
    }
}
