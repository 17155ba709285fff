//! Why the proxy does not start.

use std::io;

use nix::errno::Errno;
use ring::rand::{SecureRandom, SystemRandom};
use v6kit_net::{Code, Hint, PoolError, SessionKey};

/// Why the proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener cannot be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The prefix has nothing to send from.
    #[error("cannot send from the prefix")]
    Pool(#[from] PoolError),
    /// The access log cannot be opened.
    #[error("cannot write the access log")]
    Log(#[source] io::Error),
    /// A thread or a runtime cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Random,
}

impl Hint for StartError {
    fn code(&self) -> Code {
        match self {
            Self::Listen { source, .. } | Self::Thread(source) if is_out_of_files(source) => Code::OpenFiles,
            Self::Listen { .. } => Code::Listen,
            Self::Pool(error) => error.code(),
            Self::Log(_) => Code::Output,
            Self::Thread(_) => Code::Thread,
            Self::Random => Code::Random,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Listen { source, .. } | Self::Thread(source) if is_out_of_files(source) => {
                "raise the limit on open files (`ulimit -n`), or serve with fewer --threads".to_owned()
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                "another program listens there: choose another --listen, or end it".to_owned()
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE: choose another --listen".to_owned()
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrNotAvailable => {
                "the address is not one of this host: see `ip address`".to_owned()
            }
            Self::Pool(error) => return error.hint(),
            Self::Log(_) => "check the path of --access-log and its permissions".to_owned(),
            Self::Listen { .. } | Self::Thread(_) | Self::Random => return None,
        })
    }
}

/// Whether this process or the system has no descriptor left.
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EMFILE | Errno::ENFILE)
    )
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|ring::error::Unspecified| StartError::Random)?;
    Ok(bytes)
}

/// A new key. Sessions have other addresses under it.
///
/// # Errors
/// [`StartError::Random`].
pub fn random_session_key() -> Result<SessionKey, StartError> {
    random().map(SessionKey::new)
}
