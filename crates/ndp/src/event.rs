//! What happens while solicitations are answered, for logs.

use std::fmt;
use std::net::Ipv6Addr;

use serde::Serialize;

use crate::counters::Cause;
use crate::source::Source;
use crate::wire::{Kind, Mac};

/// Something worth a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A solicitation and what became of it. Reported on request.
    Solicitation {
        /// Who asked; absent in duplicate address detection and where the packet is malformed.
        #[serde(skip_serializing_if = "Option::is_none")]
        asker: Option<Ipv6Addr>,
        /// What was asked for, where it could be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<Ipv6Addr>,
        /// The Ethernet address that it came from.
        from: Mac,
        /// What became of it.
        #[serde(flatten)]
        verdict: Verdict,
    },
    /// The device went down; solicitations will be answered again when it is up.
    LinkDown,
    /// The device is up again.
    LinkUp,
    /// The device is gone; it will be used again when there is one of its name.
    DeviceGone,
    /// There is a device of that name again.
    DeviceBack,
    /// The device has another link-layer address; those who have the old one were told.
    LinkAddressChanged {
        /// The new one.
        link_address: Mac,
        /// The number of addresses announced.
        announced: usize,
    },
    /// Somebody on this host sends from the prefix: only addresses with sockets are answered for.
    OnlyUsed,
    /// Nobody on this host sends from the prefix any more: all of it is answered for.
    WholePrefix,
    /// Answers from the other source were not heard.
    SourceSwitched {
        /// The source from now on.
        source: Source,
    },
    /// Answers from neither source are heard.
    Unheard,
    /// New addresses get no answer because so many are being answered for. At most every ten seconds.
    LiveLimit {
        /// So many.
        live: usize,
    },
    /// Solicitations get no answer because there are too many. At most every ten seconds.
    RateLimit {
        /// Answers a second.
        per_second: u32,
    },
    /// The sockets of this host could not be listed; the solicitations that waited for it got no answer.
    /// At most every ten seconds.
    SocketListFailed {
        /// What the kernel said.
        error: String,
    },
}

/// What became of a solicitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Verdict {
    /// Answered.
    Answered {
        /// What it was for.
        answered: Kind,
        /// The source of the answer.
        source: Source,
    },
    /// Not answered.
    Refused {
        /// Why.
        refused: Cause,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Solicitation {
                asker,
                target,
                from,
                verdict,
            } => {
                match target {
                    Some(target) => write!(f, "{target}")?,
                    None => f.write_str("?")?,
                }
                match asker {
                    Some(asker) => write!(f, " for {asker} ({from}): ")?,
                    None => write!(f, " for {from}: ")?,
                }
                match verdict {
                    Verdict::Answered { source, .. } => write!(f, "answered from {source}"),
                    Verdict::Refused { refused } => write!(f, "no answer, {}", refused.name()),
                }
            }
            Self::LinkDown => f.write_str("the device is down; waiting for it"),
            Self::LinkUp => f.write_str("the device is up again"),
            Self::DeviceGone => f.write_str("the device is gone; waiting for one of its name"),
            Self::DeviceBack => f.write_str("the device is back"),
            Self::LinkAddressChanged {
                link_address,
                announced,
            } => {
                write!(
                    f,
                    "the device is {link_address} now; {announced} addresses announced"
                )
            }
            Self::OnlyUsed => f.write_str(
                "a program on this host sends from the prefix: only addresses with sockets are answered for",
            ),
            Self::WholePrefix => {
                f.write_str("no program on this host sends from the prefix: all of it is answered for")
            }
            Self::SourceSwitched { source } => write!(
                f,
                "answers from the other address are not heard: they are sent from {source} from now on"
            ),
            Self::Unheard => f.write_str(
                "answers are not heard, from the target or from the link-local address: something between \
                 here and the router drops them",
            ),
            Self::LiveLimit { live } => write!(
                f,
                "{live} addresses are being answered for; new ones wait (--live raises it, as far as the \
                 router's neighbour table allows)"
            ),
            Self::RateLimit { per_second } => write!(
                f,
                "more than {per_second} solicitations a second; the rest gets no answer (--max-rate raises it)"
            ),
            Self::SocketListFailed { error } => {
                write!(f, "the sockets of this host cannot be listed: {error}")
            }
        }
    }
}
