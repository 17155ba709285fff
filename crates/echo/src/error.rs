//! Why the echo server does not serve.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustls_pki_types::pem;
use v6kit_net::{Code, Hint};

/// Why the echo server cannot listen or serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EchoError {
    /// The settings name no address.
    #[error("there is no address to listen on")]
    NothingToListenOn,
    /// bind or listen: EADDRINUSE.
    #[error("{address} is in use")]
    AddressInUse {
        /// The address to listen on.
        address: SocketAddr,
    },
    /// bind: EACCES.
    #[error("port {} needs CAP_NET_BIND_SERVICE", .address.port())]
    NotPermitted {
        /// The address to listen on.
        address: SocketAddr,
    },
    /// bind: EADDRNOTAVAIL.
    #[error("{} is not an address of this host", .address.ip())]
    NotLocal {
        /// The address to listen on.
        address: SocketAddr,
    },
    /// Any other failure of a call on a listening socket.
    #[error("cannot listen on {address}: {call} failed")]
    Listen {
        /// The address to listen on.
        address: SocketAddr,
        /// The system call.
        call: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// A file that holds no readable certificate.
    #[error("`{}` holds no usable certificate", .path.display())]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// A file that holds no readable private key.
    #[error("`{}` holds no usable private key", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key were read but cannot serve together.
    #[error("`{}` and `{}` cannot be used together", .certificate.display(), .key.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the TLS library said.
        #[source]
        source: rustls::Error,
    },
    /// No self-signed certificate could be made.
    #[error("cannot make a self-signed certificate")]
    SelfSigned(#[source] rcgen::Error),
    /// The TLS library refuses its settings.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// A thread or its runtime could not be made.
    #[error("cannot start a serving thread")]
    Start(#[source] io::Error),
}

impl Hint for EchoError {
    fn code(&self) -> Code {
        match self {
            Self::NothingToListenOn
            | Self::AddressInUse { .. }
            | Self::NotLocal { .. }
            | Self::Listen { .. } => Code::Listen,
            Self::NotPermitted { .. } => Code::NotPermitted,
            Self::CertificateFile { .. }
            | Self::KeyFile { .. }
            | Self::Mismatch { .. }
            | Self::SelfSigned(_) => Code::Certificate,
            Self::Tls(_) => Code::Tls,
            Self::Start(_) => Code::Thread,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NothingToListenOn => "give an address, such as [::1]:8080".to_owned(),
            Self::AddressInUse { address } => format!(
                "choose another port, or see who has it: `ss -ltnp 'sport = :{}'`",
                address.port()
            ),
            Self::NotPermitted { .. } => {
                "choose a port from 1024 up, or run it as root or with CAP_NET_BIND_SERVICE".to_owned()
            }
            Self::NotLocal { .. } => {
                "see the addresses of this host with `ip address`, or listen on all of them: [::]".to_owned()
            }
            Self::CertificateFile { .. } => {
                "give a PEM file that begins with `-----BEGIN CERTIFICATE-----`, or use --tls self-signed"
                    .to_owned()
            }
            Self::KeyFile { .. } => {
                "give the unencrypted PEM key of the certificate, or use --tls self-signed".to_owned()
            }
            Self::Mismatch { .. } => {
                "give the key that belongs to the first certificate of the file, or use --tls self-signed"
                    .to_owned()
            }
            Self::Start(_) => "raise the limits on processes and open files, or use fewer threads".to_owned(),
            Self::Listen { .. } | Self::SelfSigned(_) | Self::Tls(_) => return None,
        })
    }
}
