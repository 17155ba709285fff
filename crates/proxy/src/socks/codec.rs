//! The bytes of SOCKS5 (RFC 1928) and its user/password method (RFC 1929).
//!
//! Parsers take what has arrived so far: `Ok(None)` asks for more, `Ok(Some((message, used)))` leaves the
//! bytes from `used` on to whoever comes next. Every message is shorter than 520 bytes, so what is asked
//! for is bounded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use v6kit_net::Secret;

use crate::data::target::{Target, TargetError};

/// The version byte of SOCKS5.
pub const VERSION: u8 = 5;
const AUTH_VERSION: u8 = 1;

/// A way to authenticate (RFC 1928 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// None.
    NoAuth = 0,
    /// RFC 1929.
    UserPassword = 2,
    /// None of those that were offered.
    Unacceptable = 0xff,
}

/// What a client offers first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// Whether it can go without credentials.
    pub no_auth: bool,
    /// Whether it can send user and password.
    pub user_password: bool,
}

/// User and password, up to 255 bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name, with what is asked for behind it.
    pub user: String,
    /// The password, any bytes.
    pub password: Secret<Vec<u8>>,
}

/// What a client wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A TCP connection.
    Connect,
    /// A TCP listener.
    Bind,
    /// A relay for datagrams.
    UdpAssociate,
}

/// A request (RFC 1928 section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// Where. For UDP ASSOCIATE, where the client will send from, and for BIND, from whom a connection will come:
    /// `None` where that is all zeros.
    pub target: Option<Target>,
}

/// The header of a datagram between client and relay (RFC 1928 section 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpHeader {
    /// The fragment number, 0 for a datagram in one piece.
    pub fragment: u8,
    /// Where the payload goes.
    pub target: Target,
}

/// The outcome of a request (RFC 1928 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Succeeded = 0,
    /// Everything without a code of its own.
    GeneralFailure = 1,
    /// Refused by policy.
    NotAllowed = 2,
    /// No route to the network.
    NetworkUnreachable = 3,
    /// No route to the host, or no such name.
    HostUnreachable = 4,
    /// The destination refused.
    ConnectionRefused = 5,
    /// No answer in time.
    TtlExpired = 6,
    /// BIND, or an unknown command.
    CommandNotSupported = 7,
    /// An unknown kind of address.
    AddressTypeNotSupported = 8,
}

/// Bytes that are not SOCKS5.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Another version where SOCKS5 was expected.
    #[error("version {found} instead of {expected}")]
    Version {
        /// The byte that came.
        found: u8,
        /// The byte that belongs there.
        expected: u8,
    },
    /// No method at all.
    #[error("no authentication method is offered")]
    NoMethods,
    /// A user name that is no UTF-8 or holds control characters.
    #[error("the user name is not text")]
    UserName,
    /// A command that does not exist.
    #[error("command {0} does not exist")]
    Command(u8),
    /// A kind of address that does not exist.
    #[error("address type {0} does not exist")]
    AddressType(u8),
    /// A destination that cannot be.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A text of SOCKS4 that does not end.
    #[error("a text is longer than {0} bytes")]
    TooLong(usize),
    /// A datagram that is shorter than its header.
    #[error("the datagram ends in its header")]
    Short,
}

impl CodecError {
    /// What to answer to a request that failed so.
    #[must_use]
    pub fn reply(&self) -> Reply {
        match self {
            Self::Command(_) => Reply::CommandNotSupported,
            Self::AddressType(_) => Reply::AddressTypeNotSupported,
            _ => Reply::GeneralFailure,
        }
    }
}

/// What a parser makes of the bytes so far.
pub type Parsed<T> = Result<Option<(T, usize)>, CodecError>;

/// Takes bytes off the front, `None` when there are too few.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    pub(super) used: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.used..self.used + count)?;
        self.used += count;
        Some(taken)
    }

    /// The bytes before the next zero, which is taken as well.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.bytes[self.used..].iter().position(|byte| *byte == 0)?;
        let text = self.take(length);
        self.used += 1;
        text
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.used
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N).and_then(|bytes| bytes.try_into().ok())
    }
}

pub(super) fn version(found: u8, expected: u8) -> Result<(), CodecError> {
    if found == expected {
        Ok(())
    } else {
        Err(CodecError::Version { found, expected })
    }
}

/// Parses the methods that a client offers.
///
/// # Errors
/// [`CodecError`].
pub fn parse_greeting(bytes: &[u8]) -> Parsed<Greeting> {
    let mut reader = Reader::new(bytes);
    let Some(first) = reader.byte() else {
        return Ok(None);
    };
    version(first, VERSION)?;
    let Some(count) = reader.byte() else {
        return Ok(None);
    };
    if count == 0 {
        return Err(CodecError::NoMethods);
    }
    let Some(methods) = reader.take(count.into()) else {
        return Ok(None);
    };
    let greeting = Greeting {
        no_auth: methods.contains(&(Method::NoAuth as u8)),
        user_password: methods.contains(&(Method::UserPassword as u8)),
    };
    Ok(Some((greeting, reader.used)))
}

/// Parses user and password.
///
/// # Errors
/// [`CodecError`].
pub fn parse_credentials(bytes: &[u8]) -> Parsed<Credentials> {
    let mut reader = Reader::new(bytes);
    let Some(first) = reader.byte() else {
        return Ok(None);
    };
    version(first, AUTH_VERSION)?;
    let mut text = || {
        let length = reader.byte()?;
        reader.take(length.into())
    };
    let (Some(user), Some(password)) = (text(), text()) else {
        return Ok(None);
    };
    let credentials = Credentials {
        user: user_text(user)?,
        password: password.to_vec().into(),
    };
    Ok(Some((credentials, reader.used)))
}

pub(super) fn user_text(bytes: &[u8]) -> Result<String, CodecError> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains(char::is_control))
        .map(ToOwned::to_owned)
        .ok_or(CodecError::UserName)
}

/// Parses a request.
///
/// # Errors
/// [`CodecError`], whose [`CodecError::reply`] is to be answered.
pub fn parse_request(bytes: &[u8]) -> Parsed<Request> {
    let mut reader = Reader::new(bytes);
    let Some(first) = reader.byte() else {
        return Ok(None);
    };
    version(first, VERSION)?;
    let (Some(command), Some(_reserved)) = (reader.byte(), reader.byte()) else {
        return Ok(None);
    };
    let command = match command {
        1 => Command::Connect,
        2 => Command::Bind,
        3 => Command::UdpAssociate,
        other => return Err(CodecError::Command(other)),
    };
    let Some(destination) = destination(&mut reader)? else {
        return Ok(None);
    };
    let target = match (command, destination.target()) {
        (_, Ok(target)) => Some(target),
        // Refused or not needed, whatever it is.
        (Command::UdpAssociate | Command::Bind, Err(_)) => None,
        (_, Err(error)) => return Err(error.into()),
    };
    Ok(Some((Request { command, target }, reader.used)))
}

/// Parses the header of a datagram. The payload begins at the second value.
///
/// # Errors
/// [`CodecError`]: such datagrams are dropped.
pub fn parse_udp_header(bytes: &[u8]) -> Result<(UdpHeader, usize), CodecError> {
    let mut reader = Reader::new(bytes);
    let Some([_, _, fragment]) = reader.array() else {
        return Err(CodecError::Short);
    };
    let target = destination(&mut reader)?.ok_or(CodecError::Short)?.target()?;
    Ok((UdpHeader { fragment, target }, reader.used))
}

/// An address and a port as they stand in a message.
enum Destination<'a> {
    Address(IpAddr, u16),
    Name(&'a [u8], u16),
}

impl Destination<'_> {
    fn target(&self) -> Result<Target, TargetError> {
        match self {
            Self::Address(address, 0) => Err(TargetError::Port {
                text: format!("{address} port 0"),
            }),
            Self::Address(address, port) => Ok(Target::literal(*address, *port)),
            Self::Name(name, port) => Target::new(&String::from_utf8_lossy(name), *port),
        }
    }
}

fn destination<'a>(reader: &mut Reader<'a>) -> Result<Option<Destination<'a>>, CodecError> {
    let Some(kind) = reader.byte() else {
        return Ok(None);
    };
    enum Host<'a> {
        Address(IpAddr),
        Name(&'a [u8]),
    }
    let host = match kind {
        1 => reader
            .array::<4>()
            .map(|octets| Host::Address(Ipv4Addr::from(octets).into())),
        3 => reader
            .byte()
            .and_then(|length| reader.take(length.into()))
            .map(Host::Name),
        4 => reader
            .array::<16>()
            .map(|octets| Host::Address(Ipv6Addr::from(octets).into())),
        other => return Err(CodecError::AddressType(other)),
    };
    let (Some(host), Some(port)) = (host, reader.array().map(u16::from_be_bytes)) else {
        return Ok(None);
    };
    Ok(Some(match host {
        Host::Address(address) => Destination::Address(address, port),
        Host::Name(name) => Destination::Name(name, port),
    }))
}

/// The choice of a method.
#[must_use]
pub fn encode_method(method: Method) -> [u8; 2] {
    [VERSION, method as u8]
}

/// The outcome of user and password: 0 is right.
#[must_use]
pub fn encode_auth_status(accepted: Result<(), ()>) -> [u8; 2] {
    [AUTH_VERSION, u8::from(accepted.is_err())]
}

/// A reply, with the address that the proxy uses towards the destination.
#[must_use]
pub fn encode_reply(reply: Reply, bound: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![VERSION, reply as u8, 0];
    push_address(&mut bytes, bound);
    bytes
}

/// The header of a datagram that came from `from`.
#[must_use]
pub fn encode_udp_header(from: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0];
    push_address(&mut bytes, from);
    bytes
}

fn push_address(bytes: &mut Vec<u8>, address: SocketAddr) {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            bytes.push(1);
            bytes.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes.push(4);
            bytes.extend_from_slice(&ip.octets());
        }
    }
    bytes.extend_from_slice(&address.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every proper prefix of a message asks for more.
    #[track_caller]
    fn assert_asks_for_more<T: std::fmt::Debug>(parse: fn(&[u8]) -> Parsed<T>, message: &[u8]) {
        for end in 0..message.len() {
            assert!(matches!(parse(&message[..end]), Ok(None)), "{end} bytes");
        }
        let longer = [message, b"rest"].concat();
        assert_eq!(parse(&longer).unwrap().unwrap().1, message.len());
    }

    #[test]
    fn a_greeting_is_read_byte_by_byte() {
        assert_asks_for_more(parse_greeting, &[5, 2, 0, 2]);
        let (greeting, _) = parse_greeting(&[5, 2, 1, 2]).unwrap().unwrap();
        assert_eq!(
            greeting,
            Greeting {
                no_auth: false,
                user_password: true
            }
        );
    }

    #[test]
    fn credentials_are_read_byte_by_byte() {
        assert_asks_for_more(parse_credentials, b"\x01\x05alice\x02pw");
        let (credentials, _) = parse_credentials(b"\x01\x05alice\x02pw").unwrap().unwrap();
        assert_eq!(credentials.user, "alice");
        assert_eq!(credentials.password.reveal(), b"pw");
        assert!(!format!("{credentials:?}").contains("112"), "{credentials:?}");
        assert_eq!(parse_credentials(b"\x01\x01\n\x00"), Err(CodecError::UserName));
    }

    #[test]
    fn requests_name_their_destination_in_three_ways() {
        for (message, target) in [
            (&b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"[..], "192.0.2.1:80"),
            (&b"\x05\x01\x00\x03\x0bexample.org\x01\xbb"[..], "example.org:443"),
            (
                &b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50"[..],
                "[2001:db8::1]:80",
            ),
        ] {
            assert_asks_for_more(parse_request, message);
            let (request, _) = parse_request(message).unwrap().unwrap();
            assert_eq!(request.target.unwrap().to_string(), target);
        }
    }

    #[test]
    fn an_associate_need_not_know_its_own_address() {
        let (request, _) = parse_request(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap().unwrap();
        assert_eq!(request.command, Command::UdpAssociate);
        assert_eq!(request.target, None);
    }

    #[test]
    fn a_bind_is_understood_whatever_it_names() {
        for destination in [&b"\x01\0\0\0\0\0\0"[..], b"\x03\0\0\0", b"\x03\x03a b\0\x50"] {
            let message = [&[5, 2, 0], destination].concat();
            let (request, _) = parse_request(&message).unwrap().unwrap();
            assert_eq!((request.command, request.target), (Command::Bind, None));
        }
    }

    #[test]
    fn what_does_not_exist_has_its_own_reply() {
        let reply = |message: &[u8]| parse_request(message).unwrap_err().reply();
        assert_eq!(reply(&[5, 9, 0]), Reply::CommandNotSupported);
        assert_eq!(reply(&[5, 1, 0, 7]), Reply::AddressTypeNotSupported);
        assert_eq!(reply(&[5, 1, 0, 1, 1, 1, 1, 1, 0, 0]), Reply::GeneralFailure);
        assert_eq!(reply(b"\x05\x01\x00\x03\x03a b\x00\x50"), Reply::GeneralFailure);
    }

    #[test]
    fn a_datagram_carries_its_destination() {
        let message = b"\0\0\0\x03\x0bexample.org\x00\x35payload";
        let (header, at) = parse_udp_header(message).unwrap();
        assert_eq!(header.target.to_string(), "example.org:53");
        assert_eq!(&message[at..], b"payload");
        assert_eq!(parse_udp_header(&message[..9]), Err(CodecError::Short));
    }

    #[test]
    fn replies_carry_either_family() {
        let v6 = encode_reply(Reply::Succeeded, "[2001:db8::1]:80".parse().unwrap());
        assert_eq!((v6.len(), v6[3]), (22, 4));
        let v4 = encode_udp_header("[::ffff:192.0.2.1]:80".parse().unwrap());
        assert_eq!(v4, [0, 0, 0, 1, 192, 0, 2, 1, 0, 80]);
    }
}
