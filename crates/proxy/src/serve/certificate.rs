//! The certificate of TLS listeners, which can be read anew while connections are served.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem;
use v6kit_net::{Code, Hint};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or holds no such PEM section.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key do not fit.
    #[error("the certificate and its key cannot be used")]
    Unusable(#[source] rustls::Error),
}

impl Hint for CertificateError {
    fn code(&self) -> Code {
        match self {
            Self::Read { .. } | Self::Unusable(_) => Code::Certificate,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } => {
                "give PEM files: --cert with the chain, --key with its private key".to_owned()
            }
            Self::Unusable(_) => {
                "check that the key belongs to the first certificate of the chain".to_owned()
            }
        })
    }
}

/// A certificate and its key, from PEM files.
#[derive(Debug, Clone)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn read(chain: PathBuf, key: PathBuf) -> Result<Self, CertificateError> {
        let current = certified_key(&chain, &key)?;
        Ok(Self {
            chain,
            key,
            current: Arc::new(Current(RwLock::new(Arc::new(current)))),
        })
    }

    /// Reads the files again. What was read before stays in force when they are not good.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn reload(&self) -> Result<(), CertificateError> {
        let new = Arc::new(certified_key(&self.chain, &self.key)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// What a TLS listener needs. Follows [`Certificate::reload`].
    ///
    /// # Errors
    /// [`CertificateError::Unusable`].
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certified_key(chain: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let read = |path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::Read { path, source }
    };
    let certificates = v6kit_net::read_certificates(chain).map_err(read(chain))?;
    let key = v6kit_net::read_private_key(key).map_err(read(key))?;
    CertifiedKey::from_der(certificates, key, &provider()).map_err(CertificateError::Unusable)
}
