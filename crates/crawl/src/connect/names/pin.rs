//! `--resolve`: names whose addresses the user knows better.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use v6kit_net::{Code, Hint};

/// The addresses of a host and port, as curl's `--resolve HOST:PORT:ADDR[,ADDR]...` gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// In lower case; `None` for every host.
    host: Option<String>,
    port: u16,
    addresses: Vec<Ipv6Addr>,
}

/// Why a text is no [`Pin`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Something other than three parts.
    #[error("it is not HOST:PORT:ADDR")]
    Form,
    /// Not 1 to 65535.
    #[error("`{port}` is not a port")]
    Port {
        /// What was given.
        port: String,
    },
    /// Not an address.
    #[error("`{address}` is not an address")]
    Address {
        /// What was given.
        address: String,
    },
    /// No IPv6 address among them.
    #[error("there is no IPv6 address in it")]
    Ipv4Only,
}

impl Hint for PinError {
    fn code(&self) -> Code {
        match self {
            Self::Form | Self::Port { .. } | Self::Address { .. } => Code::BadValue,
            Self::Ipv4Only => Code::Ipv4Only,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Form | Self::Port { .. } | Self::Address { .. } => {
                "write --resolve 'api.example.org:443:[2001:db8::1]', several addresses with commas between"
                    .to_owned()
            }
            Self::Ipv4Only => "v6kit sends from IPv6 addresses: give an IPv6 address".to_owned(),
        })
    }
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        // For curl a `+` lets the entry grow old, which none does here within a crawl.
        let text = text.strip_prefix('+').unwrap_or(text);
        let (host, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((literal, rest)) => (literal, rest.strip_prefix(':').ok_or(PinError::Form)?),
            None => text.split_once(':').ok_or(PinError::Form)?,
        };
        let (port, addresses) = rest.split_once(':').ok_or(PinError::Form)?;
        let number = port.parse().ok().filter(|&number: &u16| number != 0);
        let port = number.ok_or_else(|| PinError::Port {
            port: port.to_owned(),
        })?;
        if host.is_empty() {
            return Err(PinError::Form);
        }
        let all: Result<Vec<IpAddr>, PinError> = addresses.split(',').map(address).collect();
        let addresses: Vec<Ipv6Addr> = all?
            .into_iter()
            .filter_map(|address| match address {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            })
            .collect();
        if addresses.is_empty() {
            return Err(PinError::Ipv4Only);
        }
        Ok(Self {
            host: (host != "*").then(|| host.to_ascii_lowercase()),
            port,
            addresses,
        })
    }
}

fn address(text: &str) -> Result<IpAddr, PinError> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse().map_err(|_invalid| PinError::Address {
        address: text.to_owned(),
    })
}

impl Pin {
    pub(super) fn is_for(&self, host: &str, port: u16) -> bool {
        self.port == port && self.host.as_deref().is_none_or(|own| own == host)
    }

    pub(crate) fn addresses(&self) -> &[Ipv6Addr] {
        &self.addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_curl_are_read() {
        let one: Ipv6Addr = "2001:db8::1".parse().unwrap();
        for text in [
            "Example.org:443:[2001:db8::1]",
            "+example.org:443:2001:db8::1",
            "*:443:192.0.2.1,[2001:db8::1]",
        ] {
            let pin: Pin = text.parse().unwrap();
            assert!(
                pin.is_for("example.org", 443) && !pin.is_for("example.org", 80),
                "{text}"
            );
            assert_eq!(pin.addresses(), [one], "{text}");
        }
        assert!(!"a:1:::1".parse::<Pin>().unwrap().is_for("b", 1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| text.parse::<Pin>().unwrap_err();
        assert_eq!(error("example.org"), PinError::Form);
        assert_eq!(error("example.org:443"), PinError::Form);
        assert_eq!(error(":443:::1"), PinError::Form);
        assert_eq!(error("h:0:::1"), PinError::Port { port: "0".to_owned() });
        assert_eq!(
            error("h:1:x"),
            PinError::Address {
                address: "x".to_owned()
            }
        );
        assert_eq!(error("h:1:192.0.2.1"), PinError::Ipv4Only);
    }
}
