//! Listening sockets.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::tuning::defer_accept;
use crate::data::listen::Listen;
use crate::data::stream::{ClientStream, Peer};

/// The kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 65_535;

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// The address, with the port that is in use.
        address: SocketAddr,
        /// Whether clients speak TLS there.
        tls: bool,
    },
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl Address {
    /// Whether other hosts may reach it.
    #[must_use]
    pub fn is_public(&self) -> bool {
        match self {
            Self::Tcp { address, .. } => !is_loopback(*address),
            Self::Unix(_) => false,
        }
    }
}

/// Also of an IPv4-mapped address.
fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, tls: false } => address.fmt(f),
            Self::Tcp { address, tls: true } => write!(f, "tls://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One listener's sockets, one for each thread.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) address: Address,
    pub(crate) sockets: Vec<OwnedFd>,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

/// Opens a listener for `threads` threads.
pub(crate) fn bind(listen: Listen, threads: usize, idle: Duration) -> io::Result<Bound> {
    match listen {
        Listen::Tcp { address, tls } => bind_tcp(address, tls, threads, idle),
        Listen::Unix { path } => {
            let socket = bind_unix(&path)?;
            Ok(Bound {
                address: Address::Unix(path),
                sockets: copies(socket, threads)?,
                tls: None,
            })
        }
        Listen::Inherited { socket, tls } => inherit(socket, tls, threads, idle),
    }
}

/// The text of a listener that is not open yet.
pub(crate) fn wanted(listen: &Listen) -> String {
    match listen {
        Listen::Tcp { address, tls } => Address::Tcp {
            address: *address,
            tls: tls.is_some(),
        }
        .to_string(),
        Listen::Unix { path } => Address::Unix(path.clone()).to_string(),
        Listen::Inherited { .. } => "the inherited socket".to_owned(),
    }
}

fn bind_tcp(
    wanted: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    threads: usize,
    idle: Duration,
) -> io::Result<Bound> {
    let first = listen_at(wanted, Port::Free, idle)?;
    let address = local(&first)?;
    let mut sockets = vec![first.into()];
    for _ in 1..threads {
        sockets.push(listen_at(address, Port::Ours, idle)?.into());
    }
    Ok(Bound {
        address: Address::Tcp {
            address,
            tls: tls.is_some(),
        },
        sockets,
        tls,
    })
}

/// Who listens on a port already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    /// Nobody, or else it is refused.
    Free,
    /// Other threads of this proxy.
    Ours,
}

/// The first socket listens alone before the port is shared among threads: with SO_REUSEPORT from the start, a
/// second proxy of the same user would get half of the first one's connections without a word.
fn listen_at(address: SocketAddr, port: Port, idle: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    tune(SockRef::from(&socket), address, idle)?;
    socket.set_reuse_port(port == Port::Ours)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_reuse_port(true)?;
    Ok(socket)
}

fn local(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Options that accepted sockets inherit, once instead of per connection. What a listener does not have, such as one
/// of Multipath TCP that systemd made, is done without.
fn tune(socket: SockRef<'_>, address: SocketAddr, idle: Duration) -> io::Result<()> {
    permitted(socket.set_tcp_nodelay(true))?;
    if is_loopback(address) {
        // What a kernel does not have costs time and nothing else. Where bbr is the default, its pacing takes a timer
        // for every burst, a quarter of what bulk costs; loopback has nothing to pace for, and everybody may use reno.
        let _ = socket.set_tcp_congestion(b"reno");
        // Clients speak first here. From elsewhere, connections without a byte could fill the queue of half-open ones.
        let _ = defer_accept(&socket);
    }
    // A client that takes no more bytes holds its connection no longer than an idle one (tcp(7)).
    permitted(socket.set_tcp_user_timeout(Some(idle)))
}

/// Takes an option that a protocol does not know for set.
fn permitted(set: io::Result<()>) -> io::Result<()> {
    match set {
        Err(error) if is_unknown(&error) => {
            tracing::debug!("a listener does not know an option: {error}");
            Ok(())
        }
        set => set,
    }
}

fn is_unknown(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EOPNOTSUPP | Errno::ENOPROTOOPT)
    )
}

fn bind_unix(path: &Path) -> io::Result<OwnedFd> {
    remove_stale(path)?;
    let listener = StdUnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener.into())
}

/// Removes the socket of a proxy that is gone; one that answers stays, and so does any other file.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => match StdUnixStream::connect(path) {
            Ok(_answers) => Err(io::ErrorKind::AddrInUse.into()),
            Err(_dead) => fs::remove_file(path),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn inherit(
    socket: OwnedFd,
    tls: Option<Arc<rustls::ServerConfig>>,
    threads: usize,
    idle: Duration,
) -> io::Result<Bound> {
    let address = {
        let socket = SockRef::from(&socket);
        socket.set_nonblocking(true)?;
        let local: SockAddr = socket.local_addr()?;
        match local.as_socket() {
            Some(address) => {
                tune(socket, address, idle)?;
                Address::Tcp {
                    address,
                    tls: tls.is_some(),
                }
            }
            None => Address::Unix(local.as_pathname().map_or_else(PathBuf::new, Path::to_owned)),
        }
    };
    Ok(Bound {
        address,
        sockets: copies(socket, threads)?,
        tls,
    })
}

/// The same socket for each thread.
fn copies(socket: OwnedFd, threads: usize) -> io::Result<Vec<OwnedFd>> {
    let mut copies = Vec::with_capacity(threads);
    for _ in 1..threads {
        copies.push(socket.as_fd().try_clone_to_owned()?);
    }
    copies.push(socket);
    Ok(copies)
}

/// A listener of one thread.
pub(crate) struct Listener {
    socket: Accepting,
    pub(crate) tls: Option<TlsAcceptor>,
}

enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// To be called on the thread that accepts.
    pub(crate) fn new(
        socket: OwnedFd,
        address: &Address,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> io::Result<Self> {
        let socket = match address {
            Address::Tcp { .. } => Accepting::Tcp(TcpListener::from_std(socket.into())?),
            Address::Unix(_) => Accepting::Unix(UnixListener::from_std(socket.into())?),
        };
        Ok(Self {
            socket,
            tls: tls.map(TlsAcceptor::from),
        })
    }

    pub(crate) async fn accept(&self) -> io::Result<(ClientStream, Peer)> {
        match &self.socket {
            Accepting::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                let peer: IpAddr = from.ip().to_canonical();
                Ok((ClientStream::Tcp(stream), Peer::Tcp(peer)))
            }
            Accepting::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((ClientStream::Unix(stream), Peer::Unix))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Instant;

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    /// A client that has spoken, which is accepted without delay.
    fn speaker(address: SocketAddr) -> std::net::TcpStream {
        let mut client = std::net::TcpStream::connect(address).unwrap();
        client.write_all(b"x").unwrap();
        client
    }

    #[test]
    fn a_port_in_use_is_refused_although_it_is_shared_among_threads() {
        let any = "127.0.0.1:0".parse().unwrap();
        let first = bind_tcp(any, None, 2, IDLE).unwrap();
        let Address::Tcp { address, .. } = first.address else {
            panic!("a TCP listener")
        };
        let error = bind_tcp(address, None, 2, IDLE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn only_connections_over_loopback_do_without_pacing() {
        let accepted_with = |address: &str| {
            let address: SocketAddr = address.parse().unwrap();
            let listener = listen_at(address, Port::Free, IDLE).unwrap();
            let port = local(&listener).unwrap().port();
            let _client = speaker(SocketAddr::from(([127, 0, 0, 1], port)));
            listener.set_nonblocking(false).unwrap();
            listener.accept().unwrap().0.tcp_congestion().unwrap()
        };
        let default = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap();
        let name = |text: Vec<u8>| String::from_utf8(text).unwrap().trim_end_matches('\0').to_owned();
        assert_eq!(name(accepted_with("127.0.0.1:0")), "reno");
        assert_eq!(name(accepted_with("0.0.0.0:0")), default.trim());
    }

    #[test]
    fn connections_are_shared_out_among_the_threads() {
        let bound = bind_tcp("127.0.0.1:0".parse().unwrap(), None, 3, IDLE).unwrap();
        let Address::Tcp { address, .. } = bound.address else {
            panic!("a TCP listener")
        };
        let clients: Vec<_> = (0..300).map(|_| speaker(address)).collect();
        let listeners: Vec<Socket> = bound.sockets.into_iter().map(Socket::from).collect();
        let mut accepted = vec![0; listeners.len()];
        let give_up = Instant::now() + IDLE;
        // The kernel may take its time over the last bytes.
        while accepted.iter().sum::<usize>() < clients.len() && Instant::now() < give_up {
            for (count, listener) in accepted.iter_mut().zip(&listeners) {
                *count += std::iter::from_fn(|| listener.accept().ok()).count();
            }
        }
        assert_eq!(accepted.iter().sum::<usize>(), clients.len());
        assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_or_a_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("proxy.sock");
        let live = bind_unix(&path).unwrap();
        assert_eq!(bind_unix(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(live);
        bind_unix(&path).unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "precious").unwrap();
        assert_eq!(bind_unix(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }

    #[test]
    fn only_loopback_and_unix_sockets_are_private() {
        let public = |text: &str| {
            Address::Tcp {
                address: text.parse().unwrap(),
                tls: false,
            }
            .is_public()
        };
        assert!(public("0.0.0.0:1") && public("[::]:1") && public("[2001:db8::1]:1"));
        assert!(!public("127.0.0.1:1") && !public("[::1]:1") && !public("[::ffff:127.0.0.1]:1"));
        assert!(!Address::Unix("/run/p".into()).is_public());
    }
}
