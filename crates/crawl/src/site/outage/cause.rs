//! Why nothing is reached, in words: what was seen, and what is not known.

use std::net::SocketAddrV6;

use v6kit_model::{ErrorKind, Fault};
use v6kit_net::{Extent, Prefix};

/// Why there is an outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// What this host or its network said.
    Told(String),
    /// Nobody answers.
    Silence {
        /// One of those that do not.
        to: SocketAddrV6,
        /// What came instead.
        said: Option<String>,
    },
    /// Nobody answers an address of the prefix.
    PrefixSilence {
        prefix: Prefix,
        /// Who answers this host's own address nevertheless.
        witness: SocketAddrV6,
        /// What came instead.
        said: Option<String>,
    },
}

impl Cause {
    pub(super) fn of_silence(fault: &Fault, to: SocketAddrV6) -> Self {
        Self::Silence {
            to,
            said: said(fault),
        }
    }

    pub(super) fn of_prefix(fault: &Fault, prefix: Prefix, witness: SocketAddrV6) -> Self {
        Self::PrefixSilence {
            prefix,
            witness,
            said: said(fault),
        }
    }

    /// In words, at a moment when the silence goes as far as `extent`.
    pub(super) fn text(&self, extent: &Extent) -> String {
        let since = extent.since_text();
        let said = |said: &Option<String>| said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default();
        match self {
            Self::Told(text) => text.clone(),
            Self::Silence { to, said: instead } if extent.destinations > 1 => format!(
                "no answer from {extent}, {to} among them, since {since}{}; whether this host's network or each of them \
                 is out is not known",
                said(instead)
            ),
            Self::Silence { to, said: instead } => format!(
                "no answer from {to}, {extent}, since {since}{}; whether it or the way to it from this host is out is not \
                 known",
                said(instead)
            ),
            Self::PrefixSilence {
                prefix,
                witness,
                said: instead,
            } => format!(
                "no answer to {prefix} from {extent} since {since}{}, while {witness} answers this host's own address; \
                 whether packets are lost on this host, on the way or at the destination is not known",
                said(instead)
            ),
        }
    }
}

/// What the network said instead of an answer.
fn said(fault: &Fault) -> Option<String> {
    (fault.kind != ErrorKind::ConnectTimeout && fault.kind != ErrorKind::FirstByteTimeout)
        .then(|| fault.message.to_string())
}

pub(super) fn not_delivered_text(prefix: Prefix) -> String {
    format!("{prefix} is not delivered to this host any more, so no answer arrives")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn silence_is_told_with_what_was_seen_and_what_is_not_known() {
        let extent = |destinations| Extent {
            destinations,
            since: SystemTime::UNIX_EPOCH,
        };
        let to = "[2001:db8::80]:443".parse().unwrap();
        let timeout = Fault::new(ErrorKind::ConnectTimeout, "it did not answer");
        assert_eq!(
            Cause::of_silence(&timeout, to).text(&extent(1)),
            "no answer from [2001:db8::80]:443, the only destination that was tried, since 1970-01-01 00:00:00 UTC; \
             whether it or the way to it from this host is out is not known"
        );
        assert_eq!(
            Cause::of_silence(&timeout, to).text(&extent(7)),
            "no answer from any of 7 destinations, [2001:db8::80]:443 among them, since 1970-01-01 00:00:00 UTC; whether \
             this host's network or each of them is out is not known"
        );
        let prohibited = Fault::new(ErrorKind::Prohibited, "the network refuses packets");
        let prefix = "2001:db8:6::/64".parse().unwrap();
        assert_eq!(
            Cause::of_prefix(&prohibited, prefix, to).text(&extent(1)),
            "no answer to 2001:db8:6::/64 from the only destination that was tried since 1970-01-01 00:00:00 UTC (the \
             network refuses packets), while [2001:db8::80]:443 answers this host's own address; whether packets are lost on \
             this host, on the way or at the destination is not known"
        );
    }
}
