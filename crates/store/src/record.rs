//! What is kept of an item, and its form as a line of JSON.

mod addresses;
mod json;
mod ndjson;

use std::net::Ipv6Addr;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde_json::value::RawValue;
use v6kit_model::{Answer, Fault, Headers, Outcome, Protocol, is_portable, without_mark};

#[cfg(feature = "parquet")]
pub(crate) use self::json::{push_milliseconds, push_number, push_text};
pub(crate) use self::ndjson::{RecordWriter, push_timing};

/// What is known about an item at its end.
#[derive(Debug)]
pub struct Record<'a> {
    /// Its position in the job.
    pub position: u64,
    /// What the list calls it, as JSON.
    pub id: Option<&'a RawValue>,
    /// What was fetched.
    pub url: &'a str,
    /// The status, where there was one.
    pub status: Option<http::StatusCode>,
    /// The source address, where a connection was made.
    pub from: Option<Ipv6Addr>,
    /// When the last attempt began.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// How long its parts took.
    pub timing: Timing,
    /// How many there were.
    pub attempts: u32,
    /// Where redirects led to, where they were followed.
    pub final_url: Option<&'a str>,
    /// The way that the answer came.
    pub way: Way<'a>,
    /// What the last attempt sent, where it got as far as that.
    pub sent: Option<Sent<'a>>,
    /// The whole answer, where one came, whether it is data or not.
    pub answer: Option<Payload<'a>>,
    /// Why there is no data; `None` when the answer is the data.
    pub fault: Option<&'a Fault>,
}

impl Record<'_> {
    /// What became of the item.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.fault.map_or(Outcome::Ok, |fault| fault.kind.outcome())
    }
}

/// How long the parts of the last request took, each by itself. A part that there was not is `None`: a kept connection
/// has only a first byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// Looking up the name.
    pub name: Option<Duration>,
    /// The TCP handshake, and what a proxy had to be told.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From sending the request to the first byte of what answers it.
    pub first_byte: Option<Duration>,
}

/// The way that an answer came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way<'a> {
    /// When the last request began, where that is not when the attempt did.
    pub at: Option<SystemTime>,
    /// The address of the server; `None` without a connection, and through a proxy.
    pub peer: Option<Ipv6Addr>,
    /// The version of HTTP.
    pub protocol: Option<Protocol>,
    /// The answers that led here, first to last, where they are kept.
    pub hops: &'a [Hop],
}

/// An answer that led elsewhere, and what had been asked.
#[derive(Debug)]
pub struct Hop {
    /// What was asked for.
    pub url: String,
    /// When.
    pub at: SystemTime,
    /// The address of the server; `None` through a proxy.
    pub peer: Option<Ipv6Addr>,
    /// The version of HTTP.
    pub protocol: Protocol,
    /// What came.
    pub answer: Answer,
    /// Whether its body is only the beginning of what came.
    pub is_cut: bool,
    /// The method that was sent.
    pub method: http::Method,
    /// The request target: path and query.
    pub path: String,
    /// The value of Host.
    pub host: Vec<u8>,
    /// The headers that were sent.
    pub headers: HeaderMap,
    /// The body that was sent; empty for none.
    pub body: bytes::Bytes,
}

impl Hop {
    /// What was asked.
    pub(crate) fn sent(&self) -> Sent<'_> {
        Sent {
            method: &self.method,
            path: &self.path,
            host: &self.host,
            headers: &self.headers,
            body: &self.body,
        }
    }
}

/// A request as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// The method.
    pub method: &'a http::Method,
    /// The request target: path and query.
    pub path: &'a str,
    /// The value of Host.
    pub host: &'a [u8],
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body; empty for none.
    pub body: &'a [u8],
}

/// A body with what tells its form.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// The headers that came with it.
    pub headers: &'a Headers,
    /// The body.
    pub body: &'a [u8],
    /// Whether it is JSON that every reader takes, where that is known.
    pub portable: Option<bool>,
}

impl Payload<'_> {
    /// Whether the body is JSON that every reader takes.
    fn is_portable(&self) -> bool {
        let look = || is_portable(without_mark(self.body));
        self.portable.unwrap_or_else(look)
    }
}
