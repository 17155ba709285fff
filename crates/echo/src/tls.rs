//! The server's certificate and TLS settings.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::EchoError;

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Made at start, for `localhost` and the addresses that are listened on.
    SelfSigned,
    /// Read from PEM files.
    Files {
        /// The certificate, followed by the intermediate ones.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// What the server shows to callers.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// The certificate, where it was made here.
    pub(super) self_signed_pem: Option<String>,
}

/// The identity of a server that listens on `addresses`.
pub(super) fn identity(tls: &Tls, addresses: &[SocketAddr]) -> Result<Identity, EchoError> {
    match tls {
        Tls::SelfSigned => self_signed(addresses),
        Tls::Files { certificate, key } => from_files(certificate, key),
    }
}

fn self_signed(addresses: &[SocketAddr]) -> Result<Identity, EchoError> {
    let key = KeyPair::generate().map_err(EchoError::SelfSigned)?;
    let mut parameters = CertificateParams::new(names(addresses)).map_err(EchoError::SelfSigned)?;
    parameters
        .distinguished_name
        .push(DnType::CommonName, "v6kit echo");
    let certificate = parameters.self_signed(&key).map_err(EchoError::SelfSigned)?;
    let key_der = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok(Identity {
        config: config(vec![certificate.der().clone()], key_der.into()).map_err(EchoError::Tls)?,
        self_signed_pem: Some(certificate.pem()),
    })
}

/// The names of the certificate: `localhost` and every address at which the server can be reached.
fn names(addresses: &[SocketAddr]) -> Vec<String> {
    let mut names: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
    if names.iter().any(IpAddr::is_unspecified) {
        // Without the list the certificate still holds for `localhost`.
        names.extend(
            v6kit_net::own_addresses()
                .unwrap_or_default()
                .into_iter()
                .map(IpAddr::V6),
        );
        names.push(std::net::Ipv4Addr::LOCALHOST.into());
    }
    names.retain(|address| !address.is_unspecified());
    names.sort_unstable();
    names.dedup();
    let names = names.into_iter().map(|address| address.to_string());
    std::iter::once("localhost".to_owned()).chain(names).collect()
}

fn from_files(certificate: &Path, key: &Path) -> Result<Identity, EchoError> {
    let chain = v6kit_net::read_certificates(certificate).map_err(|source| EchoError::CertificateFile {
        path: certificate.to_owned(),
        source,
    })?;
    let private = v6kit_net::read_private_key(key).map_err(|source| EchoError::KeyFile {
        path: key.to_owned(),
        source,
    })?;
    let config = config(chain, private).map_err(|source| EchoError::Mismatch {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })?;
    Ok(Identity {
        config,
        self_signed_pem: None,
    })
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets that carry their own state: callers can resume however many they are, and nothing is kept.
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}
