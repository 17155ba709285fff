//! `v6kit proxy`.

mod delivery;
mod settings;
mod supervisor;
mod values;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use sd_notify::NotifyState;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind};
use tokio::time::{Instant, sleep_until};
use v6kit_net::Prefix;
use v6kit_proxy::{ByteBudget, Proxy, Running, Settings, StartError};

use super::per::{self, Per};
use crate::failure::{Exit, Failure};
use crate::interrupts::{Interrupts, listen_for};
use crate::printer::Printer;
use crate::service;
use crate::shared_args::StateArgs;
pub(super) use settings::session_key;
use values::{ListenAddress, UserPassword};
pub(super) use values::{addresses, network, rate};

/// Let other programs send from addresses of the prefix: HTTP and SOCKS5.
///
/// Every listener understands HTTP (CONNECT and absolute URLs), SOCKS5 (CONNECT and UDP ASSOCIATE), SOCKS4
/// and SOCKS4a (CONNECT).
/// Each connection leaves from another address. With the user name USER-session-NAME all connections of
/// that name leave from the same one, with USER-session-NAME-ttl-SECONDS for that long, and with
/// USER-net64 each leaves from another /64. USER-session-NAME-rotate-N gives a session another address for each
/// number N, and the request field X-V6kit-Rotate: ADDRESS turns it away from that one. The response field X-V6kit-Source tells the address.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Signals: the first SIGTERM or SIGINT ends accepting and gives what runs --grace, the second ends it at once; \
SIGHUP reads --auth-file and --cert again and opens --access-log anew.

Listening sockets passed by systemd (LISTEN_FDS) are served, with TLS where their name begins with `tls`.

Examples:
  v6kit proxy                                               after `v6kit setup`
  https_proxy=http://127.0.0.1:1234 python3 crawl.py
  curl -x socks5h://job-session-7:x@127.0.0.1:1234 https://example.org/
  v6kit proxy --listen [::]:1234 --auth-file users.htpasswd \\
    --user-connections 100
  v6kit proxy --listen tls://[::]:8443 \\
    --cert chain.pem --key key.pem --auth-file users.htpasswd
  v6kit proxy --listen unix:/run/v6kit.sock --metrics 127.0.0.1:9407 \\
    --access-log proxy.jsonl")]
pub(crate) struct ProxyArgs {
    /// The prefix to send from; default: that of the last setup
    #[arg(long, value_name = "P", value_parser = crate::shared_args::prefix)]
    prefix: Option<Prefix>,
    /// When those who ask for nothing get another address: with each connection, with each destination (which sees one and
    /// no other), after so many connections or requests of a thread, or after a time such as 30s
    #[arg(long, value_name = "connection|host|N|TIME", default_value = "connection", value_parser = per::per)]
    per: Per,
    /// What becomes of a session's address that is answered 429 or 403, where that can be seen: in forwarded http://
    #[arg(long, value_name = "HOW", default_value = "keep")]
    on_refusal: RefusalChoice,
    /// Use so many source addresses at a time, half of them for sessions, and change them slowly, as an
    /// on-link prefix needs it; any number when not given, 300 where `v6kit ndp` answers for the prefix
    #[arg(long, value_name = "N", value_parser = values::addresses)]
    addresses: Option<NonZeroUsize>,
    /// Where to listen: IP:PORT, tls://IP:PORT or unix:PATH; may be given several times
    /// [default: 127.0.0.1:1234]
    #[arg(long, value_name = "ADDR", value_parser = values::listen)]
    listen: Vec<ListenAddress>,
    /// The certificate chain of tls:// listeners, a PEM file
    #[arg(long, value_name = "F", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert, a PEM file
    #[arg(long, value_name = "F", requires = "cert")]
    key: Option<PathBuf>,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    whereto: DestinationArgs,
    #[command(flatten)]
    bounds: BoundArgs,
    /// Do not say `Via` in what is forwarded: that field tells that a proxy is on the way (RFC 9110 section 7.6.3)
    #[arg(long)]
    no_via: bool,
    /// Keep the key of the sessions in this file, so that they survive a restart; made when missing
    #[arg(long, value_name = "F")]
    session_key: Option<PathBuf>,
    /// Write one JSON line per tunnel, request or association to this file, `-` for standard output
    #[arg(long, value_name = "F")]
    access_log: Option<PathBuf>,
    /// Serve counters for Prometheus at http://ADDR/metrics
    #[arg(long, value_name = "ADDR", value_parser = super::metrics::address)]
    metrics: Option<SocketAddr>,
    /// Threads that serve; as many as there are processors when not given
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Who may")]
struct WhoArgs {
    /// Ask for a user name and a password; may be given several times
    ///
    /// Other users of this host can see the command line: use the environment, or --auth-file.
    #[arg(long, value_name = "USER:PASS", env = "V6KIT_PROXY_AUTH", hide_env_values = true,
          value_parser = values::user_password, conflicts_with = "auth_file")]
    auth: Vec<UserPassword>,
    /// Users with bcrypt or argon2 hashes, as htpasswd(1) writes them
    #[arg(long, value_name = "F")]
    auth_file: Option<PathBuf>,
    /// Serve other hosts without asking who they are
    #[arg(long)]
    open: bool,
    /// Let clients choose the source address with X-V6kit-Source
    #[arg(long)]
    allow_pin: bool,
    /// Connections of one user at a time
    #[arg(long, value_name = "N")]
    user_connections: Option<NonZeroU32>,
    /// Connections or requests that one user may begin, such as 100/s
    #[arg(long, value_name = "N/s", value_parser = values::rate)]
    user_rate: Option<f64>,
    /// Bytes of one user in both directions, such as 10G/1d
    #[arg(long, value_name = "N/1d", value_parser = values::byte_budget)]
    user_bytes: Option<ByteBudget>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where to")]
struct DestinationArgs {
    /// Reach this network although it is loopback, private, this host or the prefix; may be given
    /// several times
    #[arg(long, value_name = "CIDR", value_parser = values::network)]
    allow_destination: Vec<ipnet::IpNet>,
    /// What happens to destinations that have IPv4 addresses only
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    v4: V4Choice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RefusalChoice {
    /// It stays, until the client asks for another
    Keep,
    /// The session turns to another, ten times in ten minutes at most
    Rotate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum V4Choice {
    /// They are refused
    Refuse,
    /// They are shown this host's own IPv4 address
    Direct,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Bounds")]
struct BoundArgs {
    /// Client connections at a time; default: a third of the permitted open files, and never more
    #[arg(long, value_name = "N")]
    max_connections: Option<NonZeroUsize>,
    /// For a client to say what it wants
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    handshake_timeout: Duration,
    /// For resolving and connecting together
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    connect_timeout: Duration,
    /// Connections that are begun, to all destinations together, such as 20/s; who would wait for longer than
    /// --connect-timeout is refused
    #[arg(long, value_name = "N/s", value_parser = values::rate)]
    connect_rate: Option<f64>,
    /// For connections on which nothing moves; a fifth of it once one side has ended, and at most 60s between two
    /// requests of a client
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = values::duration)]
    idle_timeout: Duration,
    /// End a tunnel (CONNECT, SOCKS, upgrades) of this age, so that what comes after it leaves from another address: at
    /// the first moment at which nothing passes, and at twice that age in any case
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    tunnel_age: Option<Duration>,
    /// For what runs when the proxy is told to end
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::duration)]
    grace: Duration,
}

pub(crate) fn run(args: ProxyArgs, printer: &Printer) -> anyhow::Result<Exit> {
    super::block_on(serve(args, printer))
}

async fn serve(args: ProxyArgs, printer: &Printer) -> anyhow::Result<Exit> {
    crate::stderr::write_in_background();
    let signals = Signals::listen()?;
    let grace = args.bounds.grace;
    let (settings, sources) = settings::read(&args, printer).await?;
    let announcement = Announcement::of(&settings);
    let proxy = Proxy::bind(settings).await.map_err(|error| failed(&error))?;
    sources.check_privacy(&proxy)?;
    let announcement = announcement.with_addresses(&proxy);
    let mut running = proxy.start().map_err(|error| failed(&error))?;
    announcement.print(printer);
    service::ready();
    until_told_to_end(&mut running, signals, grace, &sources, printer).await;
    running.finish().map_err(|error| failed(&error))?;
    Ok(Exit::Done)
}

/// Serves, reloads, drains and stops, as the signals say.
async fn until_told_to_end(
    running: &mut Running,
    mut signals: Signals,
    grace: Duration,
    sources: &settings::Sources,
    printer: &Printer,
) {
    let mut turns = service::turns();
    loop {
        tokio::select! {
            told = signals.next() => match told {
                Told::End => break,
                Told::Reload => reload(running, sources, printer),
            },
            _ = turns.tick() => supervisor::tell_of_the_work(running),
            // A thread that ended early: `finish` says why.
            () = running.ended() => return,
        }
    }
    supervisor::tell_of_the_end(running, grace);
    running.drain();
    tokio::select! {
        () = running.ended() => return,
        () = signals.end() => {}
        () = sleep_until(Instant::now() + grace) => {}
    }
    running.stop();
    running.ended().await;
}

fn reload(running: &Running, sources: &settings::Sources, printer: &Printer) {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        service::tell(&[NotifyState::Reloading, now]);
    }
    sources.reload(running, printer);
    service::ready();
}

/// What a signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    End,
    Reload,
}

struct Signals {
    interrupts: Interrupts,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupts: Interrupts::listen_but_hangup()?,
            hangup: listen_for(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            () = self.interrupts.next() => Told::End,
            _ = self.hangup.recv() => Told::Reload,
        }
    }

    async fn end(&mut self) {
        while self.next().await != Told::End {}
    }
}

fn failed(error: &StartError) -> Failure {
    let exit = match error {
        StartError::Listen { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Exit::NotPermitted
        }
        StartError::Listen { .. } | StartError::Pool(_) | StartError::Log(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::because(exit, "the proxy cannot be served", error)
}

/// That clients can connect from now on, for people and for scripts that wait for it.
#[derive(Debug, Serialize)]
struct Announcement {
    event: &'static str,
    listening: Vec<String>,
    prefix: Option<Prefix>,
    metrics: Option<SocketAddr>,
    pid: u32,
}

impl Announcement {
    fn of(settings: &Settings) -> Self {
        Self {
            event: "ready",
            listening: Vec::new(),
            prefix: settings.prefix,
            metrics: None,
            pid: std::process::id(),
        }
    }

    fn with_addresses(self, proxy: &Proxy) -> Self {
        Self {
            listening: proxy.addresses().map(ToString::to_string).collect(),
            metrics: proxy.metrics_address(),
            ..self
        }
    }

    fn print(&self, printer: &Printer) {
        printer.json_line(self);
        let sending = match self.prefix {
            Some(prefix) => format!("sending from {prefix}"),
            None => "sending from this host's own address".to_owned(),
        };
        for address in &self.listening {
            printer.line(format_args!(
                "listening on {address} for HTTP and SOCKS5, {sending}"
            ));
        }
        if let Some(address) = self.metrics {
            printer.line(format_args!("counters at http://{address}/metrics"));
        }
    }
}
