//! The bytes of SOCKS4 and SOCKS4a, which has a name in the place of an IPv4 address (the protocol descriptions by
//! Ying-Da Lee, 1992 and 1996). Parsers work as those of [`super::codec`].

use std::net::Ipv4Addr;

use super::codec::{CodecError, Command, Parsed, Reader, user_text, version};
use crate::data::target::Target;

/// The version byte of SOCKS4 and SOCKS4a.
pub const VERSION: u8 = 4;
/// The longest user name or host name that is read.
const MAX_TEXT: usize = 255;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// CONNECT or BIND.
    pub command: Command,
    /// Where, `None` where a BIND names nothing.
    pub target: Option<Target>,
    /// The user name, with what is asked for behind it; there is no password.
    pub user: String,
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Granted = 0x5a,
    /// Everything else: the protocol tells no reasons.
    Rejected = 0x5b,
}

/// Parses a request.
///
/// # Errors
/// [`CodecError`].
pub fn parse_request(bytes: &[u8]) -> Parsed<Request> {
    let mut reader = Reader::new(bytes);
    let Some(first) = reader.byte() else {
        return Ok(None);
    };
    version(first, VERSION)?;
    let Some(command) = reader.byte() else {
        return Ok(None);
    };
    let command = match command {
        1 => Command::Connect,
        2 => Command::Bind,
        other => return Err(CodecError::Command(other)),
    };
    let (Some(port), Some(address)) = (reader.array().map(u16::from_be_bytes), reader.array::<4>()) else {
        return Ok(None);
    };
    let Some(user) = text(&mut reader)? else {
        return Ok(None);
    };
    let target = match address {
        // An address that cannot be: the name follows.
        [0, 0, 0, last] if last != 0 => {
            let Some(name) = text(&mut reader)? else {
                return Ok(None);
            };
            Target::new(&String::from_utf8_lossy(name), port)
        }
        address => Target::new(&Ipv4Addr::from(address).to_string(), port),
    };
    let target = match (command, target) {
        (_, Ok(target)) => Some(target),
        (Command::Bind, Err(_)) => None,
        (_, Err(error)) => return Err(error.into()),
    };
    let request = Request {
        command,
        target,
        user: user_text(user)?,
    };
    Ok(Some((request, reader.used)))
}

/// A text that ends with a zero.
fn text<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, CodecError> {
    let left = reader.left();
    match reader.text() {
        Some(text) if text.len() <= MAX_TEXT => Ok(Some(text)),
        None if left <= MAX_TEXT => Ok(None),
        _ => Err(CodecError::TooLong(MAX_TEXT)),
    }
}

/// A reply, whose address and port have no meaning for a CONNECT.
#[must_use]
pub fn encode_reply(reply: Reply) -> [u8; 8] {
    [0, reply as u8, 0, 0, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: &[u8]) -> Request {
        for end in 0..bytes.len() {
            assert!(matches!(parse_request(&bytes[..end]), Ok(None)), "{end} bytes");
        }
        let (request, used) = parse_request(&[bytes, b"early"].concat()).unwrap().unwrap();
        assert_eq!(used, bytes.len());
        request
    }

    #[test]
    fn a_destination_is_an_address_or_a_name() {
        let by_address = request(b"\x04\x01\x00\x50\xc0\x00\x02\x01job\0");
        assert_eq!(by_address.target.unwrap().to_string(), "192.0.2.1:80");
        assert_eq!(by_address.user, "job");
        let by_name = request(b"\x04\x01\x01\xbb\0\0\0\x07job-session-7\0example.org\0");
        assert_eq!(by_name.target.unwrap().to_string(), "example.org:443");
        let literal = request(b"\x04\x01\x01\xbb\0\0\0\x01\x002001:db8::1\0");
        assert_eq!(literal.target.unwrap().to_string(), "[2001:db8::1]:443");
    }

    #[test]
    fn a_bind_may_name_nothing() {
        let bind = request(b"\x04\x02\0\0\0\0\0\0\0");
        assert_eq!((bind.command, bind.target), (Command::Bind, None));
    }

    #[test]
    fn what_does_not_exist_or_does_not_end_is_refused() {
        assert!(parse_request(b"\x04\x03").is_err());
        assert!(parse_request(b"\x04\x01\0\0\xc0\0\x02\x01\0").is_err());
        assert!(parse_request(b"\x04\x01\0\x50\0\0\0\x01\0a b\0").is_err());
        let endless = [&b"\x04\x01\0\x50\xc0\0\x02\x01"[..], &[b'x'; 300]].concat();
        assert_eq!(parse_request(&endless), Err(CodecError::TooLong(255)));
    }
}
