//! The system's `ssh` as a child process. Keys, agents, known hosts and jump hosts are its business.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use v6kit_net::{Code, Hint, ProgramError, run_program};

use crate::values::ValueError;

/// Where ssh(1) connects to: `[user@]host`, a name of ~/.ssh/config, or `ssh://[user@]host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(String);

impl FromStr for Destination {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fits = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._:@%[]-".contains(&byte) || byte == b'/')
            && (text.starts_with("ssh://") || !text.contains('/'));
        fits.then(|| Self(text.to_owned())).ok_or_else(|| ValueError {
            text: text.to_owned(),
            what: "a destination for ssh",
            example: "root@192.168.1.1, root@fe80::1%eth0 or ssh://root@router:2222",
        })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long a script on the router may take, the connection included. A small router needs half a minute to load
/// its firewall anew.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long ssh may take to read its configuration.
const PATIENCE_FOR_CONFIG: Duration = Duration::from_secs(15);

/// How the router is reached.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// The router.
    pub destination: Destination,
    /// The configuration file for ssh (`-F`); `None`: the user's own.
    pub config: Option<PathBuf>,
}

/// Why nothing came back from the router.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// There is no ssh.
    #[error("`ssh` cannot be started")]
    Start {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It did not end.
    #[error("ssh to {destination} failed")]
    TooLong {
        /// The router.
        destination: String,
        /// How long it had.
        #[source]
        source: ProgramError,
    },
    /// The connection was not made or broke (exit code 255 of ssh).
    #[error("ssh to {destination} failed: {said}")]
    Connection {
        /// The router.
        destination: String,
        /// The last line of ssh.
        said: String,
    },
    /// The script could not be handed over, or its answer not be read.
    #[error("the connection to {destination} broke")]
    Broken {
        /// The router.
        destination: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Hint for SshError {
    fn code(&self) -> Code {
        match self {
            Self::Start { .. } | Self::TooLong { .. } | Self::Connection { .. } | Self::Broken { .. } => {
                Code::Ssh
            }
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Start { .. } => "install OpenSSH's client (openssh-client)".to_owned(),
            Self::TooLong { destination, .. } => {
                format!("see where it stands still: `timeout 60 ssh -v {destination} true`")
            }
            Self::Connection { destination, said } if said.contains("Host key verification") => {
                format!("run `ssh {destination}` once to look at its key and accept it")
            }
            Self::Connection { destination, said } if said.contains("Permission denied") => format!(
                "put your public key on the router: in LuCI under System, Administration, SSH-Keys, or with \
                 `ssh {destination} 'cat >>/etc/dropbear/authorized_keys' <~/.ssh/id_ed25519.pub`"
            ),
            Self::Connection { destination, .. } | Self::Broken { destination, .. } => {
                format!("try `ssh {destination} true`; give another router with --ssh")
            }
        })
    }
}

/// What a script on the router left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Ssh {
    /// Runs `script` with the router's shell. `arguments` reach a shell there: they are values of types
    /// that need no quoting.
    ///
    /// # Errors
    /// [`SshError`] when the router was not reached; what the script ends with is not an error.
    pub(crate) fn run(&self, script: &str, arguments: &[String]) -> Result<Ran, SshError> {
        let mut command = self.command();
        command.args(["sh", "-s", "--"]).args(arguments);
        let output = run_program(&mut command, script.as_bytes(), PATIENCE).map_err(|e| self.failed(e))?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(255) | None => Err(SshError::Connection {
                destination: self.destination.to_string(),
                said: last_line(&stderr),
            }),
            // A script that ended early does not read its rest: only a success must have read it all.
            Some(0) if !output.took_input => Err(SshError::Broken {
                destination: self.destination.to_string(),
                source: io::ErrorKind::BrokenPipe.into(),
            }),
            Some(code) => Ok(Ran {
                code,
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr,
            }),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ssh");
        // No question can be answered here, and a router that is gone must not hold us for ever.
        command.args([
            "-T",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=15",
            "-o",
            "ServerAliveInterval=10",
            "-o",
            "ServerAliveCountMax=3",
        ]);
        command
            .args(self.config_arguments())
            .arg("--")
            .arg(&self.destination.0);
        command
    }

    fn config_arguments(&self) -> Vec<OsString> {
        self.config
            .iter()
            .flat_map(|path| [OsString::from("-F"), path.clone().into_os_string()])
            .collect()
    }

    /// The host name or address that ssh will connect to, after its configuration.
    ///
    /// # Errors
    /// [`SshError`] when ssh cannot say.
    pub(crate) fn host_name(&self) -> Result<String, SshError> {
        let mut command = Command::new("ssh");
        command
            .arg("-G")
            .args(self.config_arguments())
            .arg("--")
            .arg(&self.destination.0);
        let output = run_program(&mut command, b"", PATIENCE_FOR_CONFIG).map_err(|e| self.failed(e))?;
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .find_map(|line| line.strip_prefix("hostname "))
            .map(ToOwned::to_owned)
            .ok_or_else(|| SshError::Connection {
                destination: self.destination.to_string(),
                said: last_line(&String::from_utf8_lossy(&output.stderr)),
            })
    }

    fn failed(&self, error: ProgramError) -> SshError {
        let destination = self.destination.to_string();
        match error {
            ProgramError::Start { source, .. } => SshError::Start { source },
            ProgramError::Pipe { source, .. } => SshError::Broken { destination, source },
            source @ ProgramError::TooLong { .. } => SshError::TooLong { destination, source },
        }
    }
}

fn last_line(text: &str) -> String {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("it said nothing")
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_what_ssh_takes_and_never_options() {
        for good in [
            "root@192.168.1.1",
            "router",
            "root@fe80::1%eth0",
            "ssh://root@[2001:db8::1]:2222",
            "a.b-c",
        ] {
            assert!(good.parse::<Destination>().is_ok(), "{good}");
        }
        for bad in ["-oProxyCommand=x", "root@a b", "root@a;b", "a/b", "@a", ""] {
            assert!(bad.parse::<Destination>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_line_that_says_something_is_shown() {
        assert_eq!(
            last_line("Warning: x\r\nroot@a: Permission denied (publickey).\r\n\n"),
            "root@a: Permission denied (publickey)."
        );
    }
}
