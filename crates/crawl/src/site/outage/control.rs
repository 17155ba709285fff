//! Connections that are begun only to see whether anybody answers.

use std::net::SocketAddrV6;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use v6kit_net::{DialError, RateLimit, dial};

use super::Tried;

/// Destinations that were reached last and may be asked again.
const MOST: usize = 3;

/// How long they have to answer.
const TIME: Duration = Duration::from_secs(2);

/// Destinations that were reached, the last one last, each at another address.
#[derive(Debug, Default)]
pub(super) struct Controls(Vec<Tried>);

impl Controls {
    pub(super) fn add(&mut self, reached: Tried) {
        match self.0.last_mut() {
            Some(last) if last.0.ip() == reached.0.ip() => *last = reached,
            _ => {
                self.0.retain(|known| known.0.ip() != reached.0.ip());
                if self.0.len() == MOST {
                    self.0.remove(0);
                }
                self.0.push(reached);
            }
        }
    }

    pub(super) fn last(&self) -> Option<Tried> {
        self.0.last().copied()
    }

    pub(super) fn all(&self) -> Vec<Tried> {
        self.0.clone()
    }
}

/// What asking came to.
pub(super) enum Reply {
    /// This one answered, if only to refuse.
    Some(SocketAddrV6),
    /// None of these did.
    None(Vec<SocketAddrV6>),
    /// This host lacked what a connection takes.
    Unknown,
}

/// Begins a connection to each of `controls`, at the pace of `connects`, and closes it when it is answered. Nothing is
/// sent on it.
pub(super) async fn ask(controls: impl IntoIterator<Item = Tried>, connects: &RateLimit) -> Reply {
    let mut asking = JoinSet::new();
    for (to, from) in controls {
        let turn = connects.reserve(Instant::now());
        asking.spawn(async move {
            tokio::time::sleep_until(turn.into()).await;
            (to, dial(to, from, (Instant::now() + TIME).into()).await.map(drop))
        });
    }
    let (mut silent, mut is_known) = (Vec::new(), true);
    while let Some(asked) = asking.join_next().await {
        match asked {
            Ok((to, Ok(()) | Err(DialError::Refused { .. } | DialError::Reset { .. }))) => {
                return Reply::Some(to);
            }
            Ok((to, Err(error))) if is_silence(&error) => silent.push(to),
            Ok(_) | Err(_) => is_known = false,
        }
    }
    if is_known && !silent.is_empty() {
        Reply::None(silent)
    } else {
        Reply::Unknown
    }
}

/// Whether it says that nothing comes back, rather than that this host lacks something.
fn is_silence(error: &DialError) -> bool {
    matches!(
        error,
        DialError::TimedOut { .. }
            | DialError::NoRoute { .. }
            | DialError::Unreachable { .. }
            | DialError::Prohibited { .. }
            | DialError::Firewall { .. }
            | DialError::NoAddress { .. }
            | DialError::SourceNotLocal { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u16) -> SocketAddrV6 {
        format!("[2001:db8::{host:x}]:80").parse().unwrap()
    }

    #[test]
    fn the_last_of_each_address_is_kept_and_no_more_than_three() {
        let mut controls = Controls::default();
        assert_eq!(controls.last(), None);
        for host in [1, 1, 2, 3, 1, 4] {
            controls.add((at(host), None));
        }
        assert_eq!(controls.all(), [(at(3), None), (at(1), None), (at(4), None)]);
        assert_eq!(controls.last(), Some((at(4), None)));
    }
}
