//! How an item can end.

use std::fmt;

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The answer is data.
    Ok,
    /// The site says that there is no such thing.
    Absent,
    /// The site refuses, openly or with a page that is not the data.
    Blocked,
    /// It failed in a way that may pass.
    Transient,
    /// It failed in a way that will not pass.
    Fatal,
}

impl Outcome {
    /// All of them, in the order in which they are counted and shown.
    pub const ALL: [Self; 5] = [
        Self::Ok,
        Self::Absent,
        Self::Blocked,
        Self::Transient,
        Self::Fatal,
    ];

    /// The name in records and summaries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Absent => "absent",
            Self::Blocked => "blocked",
            Self::Transient => "transient",
            Self::Fatal => "fatal",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Declares [`ErrorKind`] with the name and the outcome of each.
macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $name:literal, $outcome:ident;)*) => {
        /// Why an item has no data: a closed list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorKind {
            $($(#[doc = $doc])* $kind,)*
        }

        impl ErrorKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name in records.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$kind => concat!($($doc),*).trim_ascii()),* }
            }

            /// What an item that ends this way counts as.
            #[must_use]
            pub fn outcome(self) -> Outcome {
                match self { $(Self::$kind => Outcome::$outcome),* }
            }
        }
    };
}

error_kinds! {
    /// No name server could tell about the name.
    Dns = "dns", Transient;
    /// There is no such name.
    NoName = "no_name", Fatal;
    /// The name has IPv4 addresses only.
    NoIpv6 = "no_ipv6", Fatal;
    /// No connection can ever be made to such an address.
    BadAddress = "bad_address", Fatal;
    /// The port is closed.
    ConnectRefused = "connect_refused", Transient;
    /// No answer to SYN in time.
    ConnectTimeout = "connect_timeout", Transient;
    /// No route, or a router says so.
    NoRoute = "no_route", Transient;
    /// A router or a local rule refuses the packets.
    Prohibited = "prohibited", Transient;
    /// The source address cannot be used here.
    SourceAddress = "source_address", Fatal;
    /// All ports between this source and this destination are taken.
    Ports = "ports", Transient;
    /// No file descriptor or socket memory is left.
    Resources = "resources", Transient;
    /// The proxy cannot be reached, or does not connect.
    Proxy = "proxy", Transient;
    /// The proxy does not accept who we are.
    ProxyAuth = "proxy_auth", Fatal;
    /// The TLS handshake failed in a way that may pass.
    Tls = "tls", Transient;
    /// The server and v6kit have no way of TLS in common, or the port does not speak TLS.
    TlsMismatch = "tls_mismatch", Fatal;
    /// The server's certificate is not trusted.
    Certificate = "certificate", Fatal;
    /// The request was sent and nothing came back in time.
    FirstByteTimeout = "first_byte_timeout", Transient;
    /// The answer began and then nothing more came.
    Stalled = "stalled", Transient;
    /// The answer was still coming when the whole time was up.
    Timeout = "timeout", Transient;
    /// The connection was reset.
    Reset = "reset", Transient;
    /// The connection was closed before an answer.
    Closed = "closed", Transient;
    /// The server refused the request without looking at it (RFC 9113 section 8.7).
    RefusedStream = "refused_stream", Transient;
    /// The answer was cut short.
    Incomplete = "incomplete", Transient;
    /// The answer is not HTTP.
    Protocol = "protocol", Fatal;
    /// The coded body is damaged.
    Decode = "decode", Transient;
    /// The body's coding is none that can be undone.
    Coding = "coding", Fatal;
    /// The body is larger than allowed.
    BodyTooLarge = "body_too_large", Fatal;
    /// 404 or 410.
    NotFound = "not_found", Absent;
    /// 403 and its kin.
    Forbidden = "forbidden", Blocked;
    /// 429.
    RateLimited = "rate_limited", Blocked;
    /// robots.txt disallows it.
    Robots = "robots", Blocked;
    /// robots.txt cannot be had at present, which forbids everything.
    RobotsUnreachable = "robots_unreachable", Transient;
    /// A challenge or captcha page, whatever its status.
    Challenge = "challenge", Blocked;
    /// The body matches a pattern that means a refusal.
    BlockPattern = "block_pattern", Blocked;
    /// The answer is not what was expected of data.
    Unexpected = "unexpected", Blocked;
    /// 503.
    Unavailable = "unavailable", Transient;
    /// 5xx and other statuses that may pass.
    ServerError = "server_error", Transient;
    /// 3xx that is not followed.
    Redirect = "redirect", Fatal;
    /// It was led on and on.
    TooManyRedirects = "too_many_redirects", Fatal;
    /// 401.
    Unauthorized = "unauthorized", Fatal;
    /// A status that is none of these.
    Status = "status", Fatal;
    /// The item is not a URL that can be fetched.
    BadItem = "bad_item", Fatal;
}

impl ErrorKind {
    /// 429, and 503, which asks for the same.
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One failure: its kind, and what was found in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Fault {
    /// The kind.
    pub kind: ErrorKind,
    /// One line for people.
    pub message: String,
}

impl Fault {
    /// A failure, and what was found in words.
    ///
    /// What a server wrote may be part of the words: its control characters and marks of direction are written as
    /// escapes, since the words are shown on terminals.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.contains(drives_terminals) {
            message = message.chars().fold(String::new(), |mut shown, c| {
                if drives_terminals(c) {
                    shown.extend(c.escape_unicode());
                } else {
                    shown.push(c);
                }
                shown
            });
        }
        Self { kind, message }
    }

    /// `error` and its sources on one line.
    #[must_use]
    pub fn from_error(kind: ErrorKind, error: &dyn std::error::Error) -> Self {
        let mut message = v6kit_base::chain(error);
        // rustls names a page of its manual.
        if let Some(at) = message.find(": https://docs.rs/") {
            message.truncate(at);
        }
        Self::new(kind, message)
    }
}

/// Whether `c` could drive a terminal: controls, and the marks that change the direction of writing (Unicode Standard
/// Annex 9).
#[must_use]
pub fn drives_terminals(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_wrote_cannot_drive_a_terminal() {
        let fault = Fault::new(ErrorKind::Redirect, "to `\u{9b}31m\u{202e}x\u{1b}[2J\r\n`");
        assert_eq!(fault.message, "to `\\u{9b}31m\\u{202e}x\\u{1b}[2J\\u{d}\\u{a}`");
        assert_eq!(Fault::new(ErrorKind::Dns, "bücher 中").message, "bücher 中");
    }
}
