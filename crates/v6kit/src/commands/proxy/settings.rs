//! From the arguments, and the files they name, to the proxy's settings.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use nix::sys::socket::{getsockopt, sockopt};
use rustls::ServerConfig;
use v6kit_host::Summary;
use v6kit_net::Prefix;
use v6kit_proxy::{
    Access, Address, Certificate, Ipv4Destinations, Listen, LogTarget, OnRefusal, Password, PinRule, Proxy,
    Running, SessionKey, Settings, UserLimits, Via, parse_htpasswd, random_session_key,
};

use super::delivery;
use super::values::ListenAddress;
use super::{ProxyArgs, RefusalChoice, V4Choice};
use crate::commands::per::Per;
use crate::failure::{Exit, Failure};
use crate::printer::{Form, Printer};

/// Descriptors that are not connections, and those per connection: client, destination, a share of pipes.
const OTHER_FILES: usize = 256;
const FILES_PER_CONNECTION: usize = 3;
/// Connections that are permitted however few files there are.
const LEAST_CONNECTIONS: usize = 16;
/// Fewer connections than this are worth a word where nobody asked for a number.
const FEW_CONNECTIONS: usize = 5_000;

/// Where changeable settings come from, for a reload.
pub(super) struct Sources {
    users: Option<PathBuf>,
    certificate: Option<Certificate>,
    privacy: Privacy,
}

/// Whether other hosts may be served without being asked who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Privacy {
    Needed,
    Waived,
}

pub(super) async fn read(args: &ProxyArgs, printer: &Printer) -> anyhow::Result<(Settings, Sources)> {
    let certificate = certificate(args)?;
    let access = access(args)?;
    let sources = Sources {
        users: args.who.auth_file.clone(),
        certificate: certificate.clone(),
        privacy: match access {
            Access::Open if !args.who.open => Privacy::Needed,
            _ => Privacy::Waived,
        },
    };
    let prefix = prefix(args, printer)?;
    let delivery = prefix.map(delivery::delivery);
    if let (Some(prefix), Some(delivery)) = (prefix, &delivery) {
        delivery::warn_if_missing(delivery, prefix, &args.state.state_dir, printer).await;
    }
    let settings = Settings {
        prefix,
        delivery,
        addresses: super::super::sources::addresses(args.addresses, prefix, printer),
        excluded: v6kit_host::reserved_addresses()
            .await
            .map_err(|error| Failure::because(Exit::Failed, "this host's addresses are not known", &error))?,
        listen: listeners(args, certificate.as_ref())?,
        access,
        limits: UserLimits {
            connections: args.who.user_connections.map(Into::into),
            rate: args.who.user_rate,
            bytes: args.who.user_bytes,
        },
        per: match args.per {
            Per::Connection => v6kit_proxy::Per::Connection,
            Per::Host => v6kit_proxy::Per::Host,
            Per::Requests(number) => v6kit_proxy::Per::Requests(number),
            Per::Time(time) => v6kit_proxy::Per::Time(time),
        },
        on_refusal: match args.on_refusal {
            RefusalChoice::Keep => OnRefusal::Keep,
            RefusalChoice::Rotate => OnRefusal::Rotate,
        },
        pin: if args.who.allow_pin {
            PinRule::Allow
        } else {
            PinRule::Refuse
        },
        allowed_destinations: args.whereto.allow_destination.clone(),
        v4: match args.whereto.v4 {
            V4Choice::Refuse => Ipv4Destinations::Refuse,
            V4Choice::Direct => Ipv4Destinations::Direct,
        },
        via: match args.no_via {
            false => Via::Say,
            true => Via::Omit,
        },
        session_key: session_key(args.session_key.as_deref())?,
        threads: args
            .threads
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, Into::into),
        max_connections: max_connections(args, printer)?,
        handshake_timeout: args.bounds.handshake_timeout,
        connect_timeout: args.bounds.connect_timeout,
        connect_rate: args.bounds.connect_rate,
        idle_timeout: args.bounds.idle_timeout,
        tunnel_age: args.bounds.tunnel_age,
        access_log: access_log(args, printer)?,
        metrics: args.metrics,
    };
    Ok((settings, sources))
}

/// The prefix that was asked for, or that of the last setup, or none.
fn prefix(args: &ProxyArgs, printer: &Printer) -> Result<Option<Prefix>, Failure> {
    if args.prefix.is_some() {
        return Ok(args.prefix);
    }
    let summary = Summary::read(&args.state.state_dir)
        .map_err(|error| Failure::because(Exit::Usage, "the last setup is not known", &error))?;
    let prefix = summary.and_then(|summary| summary.latest().map(|set_up| set_up.prefix));
    if prefix.is_none() {
        printer.warning("no prefix is set up and none is given: destinations see this host's own address");
    }
    Ok(prefix)
}

fn certificate(args: &ProxyArgs) -> Result<Option<Certificate>, Failure> {
    let (Some(chain), Some(key)) = (&args.cert, &args.key) else {
        return Ok(None);
    };
    Certificate::read(chain.clone(), key.clone())
        .map(Some)
        .map_err(|error| Failure::because(Exit::Usage, "TLS cannot be spoken", &error))
}

fn access(args: &ProxyArgs) -> Result<Access, Failure> {
    if let Some(path) = &args.who.auth_file {
        return users(path).map(Access::Users);
    }
    if args.who.auth.is_empty() {
        return Ok(Access::Open);
    }
    let users: HashMap<String, Password> = args
        .who
        .auth
        .iter()
        .map(|auth| (auth.user.clone(), Password::Plain(auth.password.clone())))
        .collect();
    Ok(Access::Users(users))
}

fn users(path: &Path) -> Result<HashMap<String, Password>, Failure> {
    let what = format!("no users from {}", path.display());
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Usage, what.clone())
            .why(error.to_string())
            .hint("check the path of --auth-file and its permissions")
    })?;
    parse_htpasswd(&text).map_err(|error| Failure::because(Exit::Usage, what, &error))
}

fn listeners(args: &ProxyArgs, certificate: Option<&Certificate>) -> Result<Vec<Listen>, Failure> {
    let tls = certificate
        .map(Certificate::server_config)
        .transpose()
        .map_err(|error| Failure::because(Exit::Usage, "TLS cannot be spoken", &error))?;
    let mut listeners = inherited(tls.as_ref())?;
    for address in &args.listen {
        listeners.push(match address {
            ListenAddress::Tcp(address) => Listen::Tcp {
                address: *address,
                tls: None,
            },
            ListenAddress::Tls(address) => Listen::Tcp {
                address: *address,
                tls: Some(tls.clone().ok_or_else(no_certificate)?),
            },
            ListenAddress::Unix(path) => Listen::Unix { path: path.clone() },
        });
    }
    if listeners.is_empty() {
        listeners.push(Listen::Tcp {
            address: ([127, 0, 0, 1], 1234).into(),
            tls: None,
        });
    }
    let speaks_tls = |listen: &Listen| {
        matches!(
            listen,
            Listen::Tcp { tls: Some(_), .. } | Listen::Inherited { tls: Some(_), .. }
        )
    };
    if tls.is_some() && !listeners.iter().any(speaks_tls) {
        return Err(Failure::new(Exit::Usage, "the certificate is of no use")
            .why("--cert is given and no listener speaks TLS")
            .hint("write --listen tls://IP:PORT"));
    }
    Ok(listeners)
}

fn no_certificate() -> Failure {
    Failure::new(Exit::Usage, "TLS cannot be spoken")
        .why("a tls:// listener is given without a certificate")
        .hint("add --cert CHAIN.pem --key KEY.pem")
}

/// The sockets that systemd passed (sd_listen_fds(3)).
fn inherited(tls: Option<&Arc<ServerConfig>>) -> Result<Vec<Listen>, Failure> {
    let passed = sd_notify::listen_fds_with_names()
        .map_err(|error| Failure::new(Exit::Usage, "LISTEN_FDS cannot be used").why(error.to_string()))?;
    passed
        .map(|(descriptor, name)| {
            let socket = passed_listener(descriptor)?;
            let tls = match name.starts_with("tls") {
                true => Some(tls.cloned().ok_or_else(no_certificate)?),
                false => None,
            };
            Ok(Listen::Inherited { socket, tls })
        })
        .collect()
}

/// Takes a listening socket that was passed. Nothing of this process's own listens yet.
#[allow(
    unsafe_code,
    reason = "sd_listen_fds(3): these descriptors are this process's, and nobody else took them"
)]
fn passed_listener(descriptor: RawFd) -> Result<OwnedFd, Failure> {
    // SAFETY: only asked about, and not kept; a descriptor that is not open is no listener.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    if !matches!(getsockopt(&borrowed, sockopt::AcceptConn), Ok(true)) {
        return Err(Failure::new(Exit::Usage, "LISTEN_FDS cannot be used")
            .why(format!("descriptor {descriptor} is not a listening socket"))
            .hint("let a service manager set it, or unset it"));
    }
    // SAFETY: sd-notify yields each passed descriptor once, and a listener is none of the runtime's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

pub(crate) fn session_key(path: Option<&Path>) -> Result<SessionKey, Failure> {
    let Some(path) = path else {
        return new_session_key();
    };
    let failed = |why: String| {
        Failure::new(Exit::Usage, format!("no session key from {}", path.display()))
            .why(why)
            .hint("give a file of 32 hexadecimal digits, or a path where one can be made")
    };
    match v6kit_host::read_regular_file(path) {
        Ok(text) => parse_session_key(&String::from_utf8_lossy(&text))
            .ok_or_else(|| failed("it is not 32 hexadecimal digits".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = new_session_key()?;
            write_session_key(path, key).map_err(|error| failed(error.to_string()))?;
            Ok(key)
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

fn new_session_key() -> Result<SessionKey, Failure> {
    random_session_key().map_err(|error| super::failed(&error))
}

fn parse_session_key(text: &str) -> Option<SessionKey> {
    let digits = text.trim();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let key = u128::from_str_radix(digits, 16).ok()?;
    Some(SessionKey::new(key.to_be_bytes()))
}

/// Readable for its owner alone: the key tells every session's address.
fn write_session_key(path: &Path, key: SessionKey) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{:032x}", u128::from_be_bytes(key.bytes()))?;
    file.sync_all()
}

/// What was asked for, as far as the limit on open files permits, or what it permits. Which that is, is said.
fn max_connections(args: &ProxyArgs, printer: &Printer) -> anyhow::Result<usize> {
    let needed = |connections: usize| connections * FILES_PER_CONNECTION + OTHER_FILES;
    let asked = args.bounds.max_connections.map(usize::from);
    let wanted = asked.map_or(0, |asked| needed(asked) as u64);
    let limit = v6kit_net::raise_file_limit(wanted).context("the limit on open files is not known")?;
    let files = usize::try_from(limit.soft).unwrap_or(usize::MAX);
    let possible = (files.saturating_sub(OTHER_FILES) / FILES_PER_CONNECTION).max(LEAST_CONNECTIONS);
    match asked {
        Some(asked) if asked > possible => printer.warning(format_args!(
            "at most {possible} client connections at a time, not {asked}: {files} open files are permitted; \
             raise `ulimit -n` to {}",
            needed(asked)
        )),
        None if possible < FEW_CONNECTIONS => printer.warning(format_args!(
            "at most {possible} client connections at a time: {files} open files are permitted; \
             raise `ulimit -n` for more, or say how many are enough with --max-connections"
        )),
        _ => {}
    }
    Ok(asked.unwrap_or(possible).min(possible))
}

fn access_log(args: &ProxyArgs, printer: &Printer) -> anyhow::Result<Option<LogTarget>> {
    let Some(path) = &args.access_log else {
        return Ok(None);
    };
    if path.as_os_str() != "-" {
        return Ok(Some(LogTarget::File(path.clone())));
    }
    if printer.form() == Form::Json {
        return Err(Failure::new(Exit::Usage, "standard output is taken")
            .why("--json and --access-log - both want it")
            .hint("give --access-log a file")
            .into());
    }
    let standard_output = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .context("standard output is closed")?;
    Ok(Some(LogTarget::Open(File::from(standard_output))))
}

impl Sources {
    /// Refuses to serve other hosts without asking who they are, unless that is wanted.
    pub(super) fn check_privacy(&self, proxy: &Proxy) -> Result<(), Failure> {
        if self.privacy == Privacy::Waived {
            return Ok(());
        }
        match proxy.addresses().find(|address| address.is_public()) {
            None => Ok(()),
            Some(address @ (Address::Tcp { .. } | Address::Unix(_))) => Err(Failure::new(
                Exit::Usage,
                format!("{address} would serve everybody"),
            )
            .why("other hosts can reach it and no user is asked who they are")
            .hint("add --auth USER:PASS or --auth-file F, or --open if that is what you want")),
        }
    }

    /// Reads everything again. What cannot be read stays as it was.
    pub(super) fn reload(&self, running: &Running, printer: &Printer) {
        running.reopen_log();
        if let Some(path) = &self.users {
            match users(path) {
                Ok(users) => {
                    let count = users.len();
                    match running.reload_users(users) {
                        Ok(()) => printer.note(format_args!("{count} users from {}", path.display())),
                        Err(error) => printer.warning(format_args!("the users stay as they were: {error}")),
                    }
                }
                Err(failure) => printer.warning(format_args!(
                    "the users stay as they were: {}: {}",
                    failure.what,
                    failure.why.unwrap_or_default()
                )),
            }
        }
        if let Some(Err(error)) = self.certificate.as_ref().map(Certificate::reload) {
            printer.warning(format_args!(
                "the certificate stays as it was: {}",
                crate::failure::chain(&error)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_is_made_once_and_read_again_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let made = session_key(Some(&path)).unwrap();
        assert_eq!(session_key(Some(&path)).unwrap().bytes(), made.bytes());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(session_key(Some(&path)).is_err());
        // What never ends, and what nobody writes to.
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for endless in [Path::new("/dev/zero"), &pipe] {
            assert!(session_key(Some(endless)).is_err(), "{}", endless.display());
        }
    }
}
