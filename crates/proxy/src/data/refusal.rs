//! Why a client does not get what it asked for, and how each protocol says so.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use v6kit_net::{Code, DialError, Extent, Hint, Prefix, ResolveError};

use super::limits::ByteBudget;
use super::target::TargetError;
use super::username::UserNameError;

/// Why a client does not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("this proxy wants a user name and a password")]
    NoCredentials,
    #[error("the user name or the password is wrong")]
    WrongCredentials,
    #[error("the user name asks for something impossible")]
    UserName(#[from] UserNameError),
    #[error("the destination is not understood")]
    Target(#[from] TargetError),
    #[error("{why}")]
    BadRequest { why: &'static str },
    #[error("{what} is not supported")]
    Unsupported { what: &'static str },
    #[error("{destination} is {why}, which this proxy does not reach")]
    Denied { destination: IpAddr, why: &'static str },
    #[error("clients may not choose the source address here")]
    PinOff,
    #[error("{address} cannot be a source address here")]
    Pin { address: Ipv6Addr },
    #[error("an IPv6 prefix cannot reach it")]
    Ipv4Only(#[source] ResolveError),
    #[error("the name is not resolved")]
    Resolve(#[source] ResolveError),
    #[error("the connection was not made")]
    Dial(#[source] DialError),
    #[error("the destination sent no valid HTTP response")]
    Upstream(#[source] hyper::Error),
    #[error("{why}")]
    BadResponse { why: &'static str },
    #[error("the destination did not respond in time")]
    Silent,
    #[error("{0} connections are open, as many as this proxy takes")]
    Full(usize),
    #[error("the user has {limit} connections open, as many as permitted")]
    UserConnections { limit: u32 },
    #[error("the user starts more than {rate} connections per second")]
    UserRate { rate: f64 },
    #[error("the user has used {} bytes in {} s, as many as permitted", .budget.bytes, .budget.per.as_secs())]
    UserBytes { budget: ByteBudget },
    #[error("connections begin only {rate} times per second here, and too many wait already")]
    ConnectRate { rate: f64 },
    #[error("{places} sessions have an address, as many as this proxy keeps at a time")]
    Addresses { places: usize },
    #[error("nothing was sent or received for too long")]
    Idle,
    #[error("the handshake took too long")]
    HandshakeTimeout,
    #[error("the request head is larger than {limit} bytes")]
    HeadTooLarge { limit: usize },
    #[error("the request has more than {limit} header fields")]
    TooManyFields { limit: usize },
    #[error("the datagram to {to} was not sent")]
    NotSent {
        to: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("{prefix} is not delivered to this host, so that no answer would arrive")]
    NotDelivered { prefix: Prefix },
    #[error(
        "no connection from {prefix} was answered by {extent} since {}; whether the prefix or each of them is out is not \
         known",
        .extent.since_text()
    )]
    PrefixSilent {
        prefix: Prefix,
        extent: Extent,
        #[source]
        last: DialError,
    },
    #[error("a system call failed")]
    System(#[source] std::io::Error),
}

impl Refusal {
    /// The name in the access log, the metrics and `X-V6kit-Error`. Scripts depend on them.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NoCredentials => "auth_required",
            Self::WrongCredentials => "auth_failed",
            Self::UserName(_) => "bad_user_name",
            Self::Target(_) => "bad_target",
            Self::BadRequest { .. } => "bad_request",
            Self::Unsupported { .. } => "unsupported",
            Self::Denied { .. } => "denied",
            Self::PinOff | Self::Pin { .. } => "pin_denied",
            Self::Ipv4Only(_) => "ipv4_only",
            Self::Resolve(ResolveError::TimedOut { .. }) => "name_timeout",
            Self::Resolve(ResolveError::NameServers { .. }) => "name_servers",
            Self::Resolve(ResolveError::Resources { .. }) => "files",
            Self::Resolve(_) => "name_not_found",
            Self::Dial(error) => dial_kind(error),
            Self::Upstream(_) | Self::BadResponse { .. } => "bad_response",
            Self::Silent => "response_timeout",
            Self::Full(_) => "full",
            Self::UserConnections { .. } => "user_connections",
            Self::UserRate { .. } => "user_rate",
            Self::UserBytes { .. } => "user_bytes",
            Self::ConnectRate { .. } => "connect_rate",
            Self::Addresses { .. } => "addresses",
            Self::Idle => "idle",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HeadTooLarge { .. } | Self::TooManyFields { .. } => "head_too_large",
            Self::NotSent { .. } => "not_sent",
            Self::NotDelivered { .. } => "not_delivered",
            Self::PrefixSilent { .. } => "prefix_silent",
            Self::System(_) => "system",
        }
    }

    /// What failed and why, on one line.
    pub(crate) fn message(&self) -> String {
        v6kit_net::chain(self)
    }
}

impl Hint for Refusal {
    fn code(&self) -> Code {
        match self {
            Self::NoCredentials | Self::WrongCredentials | Self::UserName(_) => Code::ProxyUser,
            Self::Target(_)
            | Self::BadRequest { .. }
            | Self::Unsupported { .. }
            | Self::HeadTooLarge { .. }
            | Self::TooManyFields { .. } => Code::ProxyRequest,
            Self::Denied { .. } => Code::ProxyDenied,
            Self::PinOff | Self::Pin { .. } => Code::ProxyPin,
            Self::Ipv4Only(error) | Self::Resolve(error) => error.code(),
            Self::Dial(error) => error.code(),
            Self::Upstream(_) | Self::BadResponse { .. } | Self::Silent => Code::ProxyUpstream,
            Self::Full(_)
            | Self::ConnectRate { .. }
            | Self::Addresses { .. }
            | Self::UserConnections { .. }
            | Self::UserRate { .. }
            | Self::UserBytes { .. } => Code::ProxyLimit,
            Self::Idle | Self::HandshakeTimeout => Code::ProxyIdle,
            Self::NotDelivered { .. } => Code::NotSetUp,
            Self::PrefixSilent { last, .. } => last.code(),
            Self::NotSent { .. } | Self::System(_) => Code::Socket,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotDelivered { prefix } => {
                return Some(format!(
                    "the proxy's operator can set it up again: `sudo v6kit setup --prefix {prefix}`"
                ));
            }
            Self::PrefixSilent { prefix, .. } => {
                return Some(format!(
                    "the proxy's operator can see how far packets of the prefix come: `v6kit verify --prefix {prefix}`"
                ));
            }
            Self::Dial(error) => return error.hint(),
            Self::Resolve(error) => return error.hint(),
            Self::NoCredentials => "give them in the URL of the proxy: http://USER:PASSWORD@HOST:PORT",
            Self::UserName(_) => "write USER, USER-session-NAME, USER-session-NAME-ttl-SECONDS or USER-net64",
            Self::Denied { .. } => "the proxy's operator can permit it with --allow-destination CIDR",
            Self::PinOff => "the proxy's operator can permit it with --allow-pin",
            Self::Pin { .. } => "choose an address of the prefix that is not reserved and not the host's own",
            Self::Ipv4Only(_) => {
                "the proxy's operator can permit it from the host's own address with --v4 direct"
            }
            Self::Full(_) => "try again later; the operator can raise --max-connections",
            Self::ConnectRate { .. } => "try again later; the operator can raise --connect-rate",
            Self::Addresses { .. } => {
                "use a session that exists, or try again in a minute; the operator can raise --addresses"
            }
            Self::UserConnections { .. } | Self::UserRate { .. } | Self::UserBytes { .. } => {
                "wait, or ask the proxy's operator for more"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn dial_kind(error: &DialError) -> &'static str {
    match error {
        DialError::ProcessFiles | DialError::SystemFiles => "files",
        DialError::SourceNotLocal { .. } => "source_not_local",
        DialError::SourcePorts { .. } | DialError::TuplePorts { .. } => "ports",
        DialError::NoRoute { .. } | DialError::Unreachable { .. } => "unreachable",
        DialError::NoAddress { .. } => "no_address",
        DialError::Prohibited { .. } => "prohibited",
        DialError::Firewall { .. } => "firewall",
        DialError::Refused { .. } => "refused",
        DialError::Reset { .. } => "reset",
        DialError::TimedOut { .. } => "timeout",
        DialError::Memory => "memory",
        _ => "dial",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_that_fail_are_not_taken_for_a_name_that_does_not_exist() {
        let refusal = Refusal::Resolve(ResolveError::NameServers {
            host: "h.example".to_owned(),
            source: std::io::Error::other("Temporary failure in name resolution"),
        });
        assert_eq!(refusal.kind(), "name_servers");
        assert!(
            refusal.message().contains("no name server"),
            "{}",
            refusal.message()
        );
    }

    #[test]
    fn the_message_goes_down_to_the_cause() {
        let to = "[2001:db8::1]:80".parse().unwrap();
        let refusal = Refusal::Dial(DialError::Refused { to });
        assert_eq!(
            refusal.message(),
            "the connection was not made: [2001:db8::1]:80 refused the connection"
        );
    }
}
