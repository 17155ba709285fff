//! TLS by rustls.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use crate::job::Trust;
use crate::outcome::{ErrorKind, Fault};
use crate::{Code, Hint};

/// What opens TLS connections. Each shard has its own, so that its session cache is nobody else's.
pub(crate) type ClientTls = TlsConnector;

/// How many destinations a shard can resume sessions with.
const SESSIONS: usize = 4096;

/// Which version of HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// Over TLS what the server prefers, HTTP/1.1 otherwise.
    Auto,
    /// HTTP/1.1.
    One,
    /// HTTP/2, also where no TLS says so.
    Two,
}

/// Why nothing can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read, or holds no certificate.
    #[error("{} holds no certificate that can be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system's store is empty.
    #[error("this system trusts no certificate authority")]
    NoneOnSystem,
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

impl Hint for TrustError {
    fn code(&self) -> Code {
        match self {
            Self::File { .. } => Code::Certificate,
            Self::NoneOnSystem => Code::NoRoots,
            Self::Setup(_) => Code::Tls,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => Some("give a file with PEM certificates".to_owned()),
            Self::NoneOnSystem => {
                Some("install the package ca-certificates, or give --cacert FILE".to_owned())
            }
            Self::Setup(_) => None,
        }
    }
}

/// The TLS settings of one shard.
///
/// # Errors
/// [`TrustError`].
pub(crate) fn client_tls(trust: &Trust, http: HttpVersion) -> Result<ClientTls, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Setup)?;
    let mut config = match trust {
        Trust::System => builder
            .with_root_certificates(system_roots()?)
            .with_no_client_auth(),
        Trust::File(path) => builder
            .with_root_certificates(roots_of(path.clone())?)
            .with_no_client_auth(),
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(BelieveAnyone(provider)))
            .with_no_client_auth(),
    };
    config.alpn_protocols = match http {
        HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        HttpVersion::One => vec![b"http/1.1".to_vec()],
        HttpVersion::Two => vec![b"h2".to_vec()],
    };
    config.resumption = rustls::client::Resumption::in_memory_sessions(SESSIONS);
    Ok(TlsConnector::from(Arc::new(config)))
}

fn system_roots() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        Err(TrustError::NoneOnSystem)
    } else {
        Ok(roots)
    }
}

fn roots_of(path: PathBuf) -> Result<RootCertStore, TrustError> {
    let bad = |source: Box<dyn std::error::Error + Send + Sync>| TrustError::File {
        path: path.clone(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&path).map_err(|error| bad(error.into()))? {
        let certificate = certificate.map_err(|error| bad(error.into()))?;
        roots.add(certificate).map_err(|error| bad(error.into()))?;
    }
    if roots.is_empty() {
        Err(bad("no PEM certificate found".into()))
    } else {
        Ok(roots)
    }
}

/// What a failed handshake means.
pub(super) fn fault(error: &io::Error) -> Fault {
    let tls = error
        .get_ref()
        .and_then(|source| source.downcast_ref::<rustls::Error>());
    match tls {
        Some(tls @ rustls::Error::InvalidCertificate(_)) => Fault::from_error(ErrorKind::Certificate, tls),
        Some(tls) => Fault::from_error(ErrorKind::Tls, tls),
        None => Fault::from_error(ErrorKind::Tls, error),
    }
}

/// Accepts every certificate, and still checks that the server holds its key.
#[derive(Debug)]
struct BelieveAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for BelieveAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
