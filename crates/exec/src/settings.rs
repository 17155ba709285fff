//! What a run is told.

use std::fs::File;
use std::net::IpAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use ipnet::IpNet;
use v6kit_net::{SessionKey, SourcePool};

/// Everything a run is told.
#[derive(Debug)]
pub struct Settings {
    /// Where source addresses come from; at least one.
    pub pools: Vec<Pool>,
    /// When the address changes.
    pub per: Per,
    /// The session that the addresses belong to: they are the same in another run.
    pub session: Option<String>,
    /// What addresses that follow from a name are hashed with.
    pub key: SessionKey,
    /// Connections that are begun, per second; blocking ones wait for their turn.
    pub connect_rate: Option<f64>,
    /// Takes a line of JSON for each connection.
    pub log: Option<File>,
    /// What happens to IPv4 destinations.
    pub v4: Ipv4,
    /// Destinations that are reached from the host's own address.
    pub except: Vec<IpNet>,
    /// Name servers, whose port 53 is reached from the host's own address.
    pub name_servers: Vec<IpAddr>,
}

/// A prefix to draw from.
#[derive(Debug)]
pub struct Pool {
    /// Its usable addresses.
    pub addresses: SourcePool,
    /// How many of them there may be at a time; any number for `None`.
    pub places: Option<NonZeroUsize>,
}

/// When the source address changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// With each connection.
    Connection,
    /// With the destination's address: each destination sees one address.
    Host,
    /// With the process.
    Process,
    /// After so many connections.
    Count(NonZeroU64),
    /// After this time.
    Time(Duration),
}

/// What happens to IPv4 destinations, which no address of a prefix reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv4 {
    /// They are unreachable (ENETUNREACH).
    Refuse,
    /// They see this host's own address.
    Direct,
}
