//! TLS by rustls.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sessions::Sessions;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;
use v6kit_model::{ErrorKind, Fault, HttpVersion};
use v6kit_net::{Code, Hint};

/// What opens TLS connections. Each shard has its own, so that its session cache is nobody else's.
pub(crate) type ClientTls = TlsConnector;

/// A certificate of ours and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The file with the certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// The file with the key; may be the same.
    pub key: PathBuf,
}

/// Which certificates of servers are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// What this system trusts.
    #[default]
    System,
    /// The PEM certificates in a file, and nothing else.
    File(PathBuf),
    /// Any: whoever answers is believed.
    Anyone,
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
    /// The file cannot be read, or holds no private key.
    #[error("{} holds no private key that can be used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The key is not that of the certificate.
    #[error("{} holds a key that does not go with the certificate", path.display())]
    Mismatch {
        /// The file of the key.
        path: PathBuf,
        /// What was wrong.
        #[source]
        source: rustls::Error,
    },
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

impl Hint for TrustError {
    fn code(&self) -> Code {
        match self {
            Self::File { .. } | Self::Key { .. } | Self::Mismatch { .. } => Code::Certificate,
            Self::NoneOnSystem => Code::NoRoots,
            Self::Setup(_) => Code::Tls,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => Some("give a file with PEM certificates".to_owned()),
            Self::Key { .. } => Some(
                "give a file with a PEM key and no passphrase; `openssl pkey -in KEY -out PLAIN` takes one off"
                    .to_owned(),
            ),
            Self::Mismatch { .. } => Some("give the --key that --cert was made for".to_owned()),
            Self::NoneOnSystem => {
                Some("install the package ca-certificates, or give --cacert FILE".to_owned())
            }
            Self::Setup(_) => None,
        }
    }
}

/// The TLS settings of one shard, read when they are needed first.
pub(crate) struct LazyTls {
    trust: Trust,
    identity: Option<Identity>,
    http: HttpVersion,
    read: OnceCell<ClientTls>,
}

impl LazyTls {
    pub(crate) fn new(trust: Trust, identity: Option<Identity>, http: HttpVersion) -> Self {
        Self {
            trust,
            identity,
            http,
            read: OnceCell::new(),
        }
    }

    /// The settings.
    ///
    /// # Errors
    /// [`ErrorKind::Certificate`] where they cannot be read.
    pub(crate) fn get(&self) -> Result<&ClientTls, Fault> {
        if let Some(tls) = self.read.get() {
            return Ok(tls);
        }
        let tls = client_tls(&self.trust, self.identity.as_ref(), self.http)
            .map_err(|error| Fault::from_error(ErrorKind::Certificate, &error))?;
        Ok(self.read.get_or_init(|| tls))
    }
}

/// The TLS settings of one shard.
///
/// # Errors
/// [`TrustError`].
pub(crate) fn client_tls(
    trust: &Trust,
    identity: Option<&Identity>,
    http: HttpVersion,
) -> Result<ClientTls, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Setup)?;
    let builder = match trust {
        Trust::System => builder.with_root_certificates(system_roots()?),
        Trust::File(path) => builder
            .dangerous()
            .with_custom_certificate_verifier(FileVerifier::new(path, provider)?),
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NoVerification(provider))),
    };
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = read_identity(identity)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|source| TrustError::Mismatch {
                    path: identity.key.clone(),
                    source,
                })?
        }
    };
    config.alpn_protocols = match http {
        HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        HttpVersion::One => vec![b"http/1.1".to_vec()],
        HttpVersion::Two => vec![b"h2".to_vec()],
    };
    // One cache for all source addresses: who crawls is no secret, and full handshakes cost the site CPU time.
    config.resumption = rustls::client::Resumption::store(Arc::new(Sessions::new()));
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

/// The certificates of a file, one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    v6kit_net::read_certificates(path).map_err(|source| TrustError::File {
        path: path.to_owned(),
        source: source.into(),
    })
}

fn read_identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TrustError> {
    let key = v6kit_net::read_private_key(&identity.key).map_err(|source| TrustError::Key {
        path: identity.key.clone(),
        source,
    })?;
    Ok((certificates(&identity.certificate)?, key))
}

/// Trusts what a file holds: authorities, and servers whose own certificate is in it. The latter are often
/// marked as authorities, as `openssl req -x509` does, which webpki refuses on a server.
#[derive(Debug)]
struct FileVerifier {
    chains: Arc<WebPkiServerVerifier>,
    held: Vec<CertificateDer<'static>>,
}

impl FileVerifier {
    fn new(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<Self>, TrustError> {
        let bad = |source: Box<dyn std::error::Error + Send + Sync>| TrustError::File {
            path: path.to_owned(),
            source,
        };
        let held = certificates(path)?;
        let mut roots = RootCertStore::empty();
        for certificate in &held {
            roots
                .add(certificate.clone())
                .map_err(|error| bad(error.into()))?;
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| bad(error.into()))?;
        Ok(Arc::new(Self { chains, held }))
    }
}

/// Nothing is wrong with a certificate but that it is an authority's. webpki looks at times first.
fn is_authority_only(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error else {
        return false;
    };
    matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for FileVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged =
            self.chains
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match judged {
            Err(error) if is_authority_only(&error) && self.held.contains(end_entity) => {
                let parsed = rustls::server::ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&parsed, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            Err(error) if is_authority_only(&error) => Err(CertificateError::UnknownIssuer.into()),
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// What a failed handshake means.
pub(super) fn fault(error: &io::Error) -> Fault {
    let tls = error
        .get_ref()
        .and_then(|source| source.downcast_ref::<rustls::Error>());
    match tls {
        Some(tls) if is_authority_only(tls) => Fault::new(
            ErrorKind::Certificate,
            "the server's certificate is an authority's own, and unknown: --cacert FILE makes it known",
        ),
        Some(tls) => fault_of(tls),
        None => Fault::from_error(ErrorKind::Tls, error),
    }
}

/// What an error of TLS means, at the handshake or later.
pub(super) fn fault_of(tls: &rustls::Error) -> Fault {
    use rustls::AlertDescription as Alert;
    match tls {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => Fault::new(
            ErrorKind::Certificate,
            format!(
                "the server's certificate is not one that can be checked: {}",
                in_words(&other.0.to_string())
            ),
        ),
        rustls::Error::InvalidCertificate(_) => Fault::from_error(ErrorKind::Certificate, tls),
        rustls::Error::InvalidMessage(_) => Fault::new(
            ErrorKind::TlsMismatch,
            "this port does not speak TLS, or not as its standard has it",
        ),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            Alert::HandshakeFailure
            | Alert::ProtocolVersion
            | Alert::InsufficientSecurity
            | Alert::IllegalParameter,
        ) => Fault::new(
            ErrorKind::TlsMismatch,
            "the server refuses the handshake: it has no version, cipher suite, curve or signature in common with \
             v6kit (TLS 1.2 with ECDHE and AEAD ciphers, or TLS 1.3; P-256, P-384, X25519)",
        ),
        // What may pass: the server's own troubles, and an end in between.
        rustls::Error::AlertReceived(Alert::InternalError | Alert::UserCanceled | Alert::CloseNotify) => {
            Fault::new(ErrorKind::Tls, said(tls))
        }
        rustls::Error::AlertReceived(_) => Fault::new(ErrorKind::TlsMismatch, said(tls)),
        tls => Fault::from_error(ErrorKind::Tls, tls),
    }
}

fn said(tls: &rustls::Error) -> String {
    match tls {
        rustls::Error::AlertReceived(alert) => {
            format!(
                "the server ended TLS with the alert \"{}\"",
                in_words(&format!("{alert:?}"))
            )
        }
        tls => tls.to_string(),
    }
}

/// `HandshakeFailure` as `handshake failure`.
fn in_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    for (index, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && index > 0 {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// A certificate whose key cannot be read, such as one of X.509 version 1, is believed like any other; a signature
/// that is wrong is not.
fn believe(
    verified: Result<HandshakeSignatureValid, rustls::Error>,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    match verified {
        Err(rustls::Error::InvalidCertificate(error)) if error != CertificateError::BadSignature => {
            Ok(HandshakeSignatureValid::assertion())
        }
        verified => verified,
    }
}

/// Accepts every certificate, and still checks that the server holds its key.
#[derive(Debug)]
struct NoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
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
        believe(verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        believe(verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        ))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
