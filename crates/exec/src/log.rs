//! A line of JSON for each connection.

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv6Addr, SocketAddr};

use serde::{Serialize, Serializer};

/// A line. A connection has one, however many calls it took.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    #[serde(serialize_with = "to_the_millisecond")]
    pub(crate) at: jiff::Timestamp,
    pub(crate) pid: i32,
    pub(crate) program: String,
    pub(crate) protocol: Protocol,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Ipv6Addr>,
    pub(crate) to: SocketAddr,
    /// Why it was not made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    Tcp,
    /// Anything that sends datagrams: UDP, and ping sockets.
    Udp,
}

fn to_the_millisecond<S: Serializer>(at: &jiff::Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

impl Entry {
    /// Appends it. One write: lines of several supervisors do not mix.
    pub(crate) fn append(&self, mut file: &File) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        file.write_all(&line)
    }
}
