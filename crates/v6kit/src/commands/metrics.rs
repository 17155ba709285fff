//! `--metrics`: where counters are served, for every command that has them.

use std::net::{Ipv4Addr, SocketAddr};

use v6kit_metrics::MetricsListener;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::shared_args::BadValue;

/// Parses `9405` (on loopback), `127.0.0.1:9405` or `[::1]:9405`.
pub(super) fn address(text: &str) -> Result<SocketAddr, BadValue> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_not_an_address: std::net::AddrParseError| {
        BadValue::new(
            "it is not an address and a port",
            "write a port alone for loopback, or an address and a port, such as [::1]:9405",
        )
    })
}

/// Listens, and says so aloud where other hosts can ask too.
pub(super) async fn bind(address: SocketAddr, printer: &Printer) -> Result<MetricsListener, Failure> {
    let listener = MetricsListener::bind(address).await.map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot serve metrics on {address}"))
            .why(error.to_string())
            .hint("choose another port, or an address of this host")
    })?;
    if !address.ip().is_loopback() {
        printer.warning(format!("the counters at {address} can be read by other hosts"));
    }
    Ok(listener)
}
