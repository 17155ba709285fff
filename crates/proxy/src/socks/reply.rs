//! How a SOCKS5 client is told why it does not get what it asked for.

use v6kit_net::{DialError, ResolveError};

use super::codec::Reply;
use crate::data::refusal::Refusal;

/// The reply field for a refusal (RFC 1928 section 6).
pub(super) fn reply_of(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Denied { .. } | Refusal::PinOff | Refusal::Pin { .. } | Refusal::Ipv4Only(_) => {
            Reply::NotAllowed
        }
        Refusal::UserConnections { .. } | Refusal::UserRate { .. } | Refusal::UserBytes { .. } => {
            Reply::NotAllowed
        }
        Refusal::Unsupported { .. } => Reply::CommandNotSupported,
        Refusal::Resolve(ResolveError::TimedOut { .. }) | Refusal::Dial(DialError::TimedOut { .. }) => {
            Reply::TtlExpired
        }
        Refusal::Resolve(_) => Reply::HostUnreachable,
        Refusal::Dial(DialError::Refused { .. } | DialError::Reset { .. }) => Reply::ConnectionRefused,
        Refusal::Dial(DialError::Unreachable { .. }) => Reply::HostUnreachable,
        Refusal::Dial(
            DialError::NoRoute { .. }
            | DialError::NoAddress { .. }
            | DialError::Prohibited { .. }
            | DialError::Firewall { .. },
        ) => Reply::NetworkUnreachable,
        Refusal::NotDelivered { .. } | Refusal::PrefixSilent { .. } => Reply::NetworkUnreachable,
        _ => Reply::GeneralFailure,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use nix::errno::Errno;

    use super::*;

    #[test]
    fn each_failure_to_connect_has_its_own_reply() {
        let to = "[2001:db8::1]:80".parse().unwrap();
        let no_route = DialError::NoRoute {
            to,
            source: io::Error::from(Errno::ENETUNREACH),
        };
        let unreachable = DialError::Unreachable { to };
        let denied = Refusal::Denied {
            destination: "::1".parse().unwrap(),
            why: "loopback",
        };
        for (refusal, expected) in [
            (Refusal::Dial(DialError::Refused { to }), Reply::ConnectionRefused),
            (Refusal::Dial(DialError::TimedOut { to }), Reply::TtlExpired),
            (denied, Reply::NotAllowed),
            (Refusal::Dial(no_route), Reply::NetworkUnreachable),
            (Refusal::Dial(unreachable), Reply::HostUnreachable),
            (Refusal::NoCredentials, Reply::GeneralFailure),
            (Refusal::Full(9), Reply::GeneralFailure),
        ] {
            assert_eq!(reply_of(&refusal), expected, "{refusal}");
        }
    }
}
