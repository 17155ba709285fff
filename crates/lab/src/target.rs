//! The target: echo servers in a network namespace of their own, on threads of this process.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread;

use v6kit_echo::{Echo, EchoSettings, Limit, Tls};

use crate::error::LabError;
use crate::netns::NetNs;
use crate::wire;

/// Where the target answers with plain HTTP, refusing whom the limit hits.
pub(crate) const HTTP: u16 = 80;
/// Where it answers with TLS, refusing whom the limit hits.
pub(crate) const HTTPS: u16 = 443;
/// Where it answers everybody with plain HTTP, limit or not.
pub(crate) const UNLIMITED: u16 = 8080;

/// Starts the target's servers; returns the certificate (PEM) of the one with TLS.
///
/// They serve until this process ends. Each port counts its callers for itself.
pub(crate) fn start(target: &NetNs, limit: Option<Limit>) -> Result<String, LabError> {
    serve(target, HTTP, None, limit)?;
    serve(target, UNLIMITED, None, None)?;
    let certificate = serve(target, HTTPS, Some(Tls::SelfSigned), limit)?;
    Ok(certificate.unwrap_or_default())
}

/// Listens on `port` and serves from a thread that stays in the target's namespace.
fn serve(
    target: &NetNs,
    port: u16,
    tls: Option<Tls>,
    limit: Option<Limit>,
) -> Result<Option<String>, LabError> {
    let settings = EchoSettings {
        listen: vec![SocketAddr::from((wire::TARGET, port))],
        tls,
        limit,
        threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    };
    let echo = target.run(|| Echo::bind(&settings).map_err(LabError::Target))?;
    let certificate = echo.certificate_pem().map(ToOwned::to_owned);
    thread::Builder::new()
        .name(format!("target:{port}"))
        .spawn(move || {
            if let Err(error) = echo.run_until(std::future::pending()) {
                tracing::error!("the target has stopped to answer on port {port}: {error}");
            }
        })
        .map_err(|source| LabError::system("start the target", source))?;
    Ok(certificate)
}
