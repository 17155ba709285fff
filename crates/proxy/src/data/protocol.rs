//! The protocols that clients speak.

use serde::Serialize;

/// How a client talks to the proxy. The names are those of the access log and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Connect,
    Forward,
    Socks5,
    #[serde(rename = "socks5-udp")]
    Udp,
    Socks4,
    Tls,
    Unknown,
}

impl Protocol {
    /// The name in the metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Forward => "forward",
            Self::Socks5 => "socks5",
            Self::Udp => "socks5-udp",
            Self::Socks4 => "socks4",
            Self::Tls => "tls",
            Self::Unknown => "unknown",
        }
    }
}
