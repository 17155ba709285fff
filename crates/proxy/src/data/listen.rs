//! Where clients are to connect.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// A listener.
#[derive(Debug)]
pub enum Listen {
    /// A TCP port, 0 for any.
    Tcp {
        /// The address.
        address: SocketAddr,
        /// With TLS, the certificate.
        tls: Option<Arc<rustls::ServerConfig>>,
    },
    /// A Unix stream socket.
    Unix {
        /// Its path.
        path: PathBuf,
    },
    /// A listening socket that this process was started with.
    Inherited {
        /// The socket, TCP or Unix.
        socket: OwnedFd,
        /// With TLS, the certificate.
        tls: Option<Arc<rustls::ServerConfig>>,
    },
}
