//! `v6kit ndp`.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};

use clap::ValueEnum;
use serde::Serialize;
use v6kit_host::Summary as SetUpSummary;
use v6kit_metrics::MetricsListener;
use v6kit_ndp::{
    Event, NdpError, Responder, Scope, Settings, SingletonLock, Snooping, SourceWish, Summary,
    keep_only_net_raw,
};
use v6kit_net::Prefix;

use super::metrics;
use crate::failure::{Exit, Failure};
use crate::interrupts::Interrupts;
use crate::printer::{Form, Printer};
use crate::service;
use crate::shared_args::{BadValue, StateArgs};

/// Answer neighbour solicitations for a prefix that is on-link rather than routed.
///
/// Where the router has no route to the prefix but finds it on the link, it asks who has each single
/// address. The kernel answers for configured addresses only; this answers for the others. It never
/// answers for this host's own addresses, for a gateway's, or for one that a neighbour is known to have.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every address that is answered for takes a place in the router's neighbour table, which on Linux holds 1024. \
While a program on this host sends from the prefix (v6kit crawl, v6kit proxy, curl --interface ...), only \
addresses with a socket are answered for, and at most --live of them. Where the router can route the prefix to \
this host, that is better: nothing is solicited then and this is not needed.

With --json each event is one line: first {\"event\":\"ready\", ...}, last {\"event\":\"summary\", ...}.

Examples:
  sudo v6kit ndp --prefix 2001:db8:1:2::/64 --dev eth0
  sudo v6kit ndp                                            after `v6kit setup`
  sudo v6kit ndp --all --prefix 2001:db8:1:2:c::/80 --dev eth0")]
pub(crate) struct NdpArgs {
    /// The on-link prefix; default: that of the last setup
    #[arg(long, value_name = "P", value_parser = crate::shared_args::prefix)]
    prefix: Option<Prefix>,
    /// The device towards the router; default: that of the last setup
    #[arg(long, value_name = "DEV")]
    dev: Option<String>,
    /// Answer only for addresses with a live or recent socket on this host, whoever sends from the prefix
    #[arg(long, conflicts_with = "all")]
    only_used: bool,
    /// Answer for every address of the prefix, whoever sends from it: other machines behind this host do
    #[arg(long)]
    all: bool,
    /// Answer for so many addresses at a time at most [default: 400; with --all: no limit]
    #[arg(long, value_name = "N")]
    live: Option<NonZeroUsize>,
    /// The source address of answers; some hypervisors drop one or the other
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    source: SourceChoice,
    /// Answers a second at most
    #[arg(long, value_name = "N", default_value_t = MAX_RATE)]
    max_rate: NonZeroU32,
    /// Whether MLD-snooping switches are told to send all multicast to this port (RFC 4286)
    #[arg(long, value_name = "WHAT", default_value = "announce")]
    snooping: SnoopingChoice,
    /// Print every solicitation and what became of it
    #[arg(long)]
    log_solicitations: bool,
    /// Serve counters for Prometheus at http://ADDR/metrics; a loopback address
    #[arg(long, value_name = "ADDR", value_parser = loopback)]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SourceChoice {
    /// The address that is asked for, or the link-local one if that is what gets through
    Auto,
    /// The address that is asked for
    Target,
    /// The link-local address of the device
    LinkLocal,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SnoopingChoice {
    /// Tell them
    Announce,
    /// Tell them nothing
    Silent,
}

/// How many addresses fit a router's table of 1024 with room for others and for a change of half of them.
pub(crate) const LIVE: NonZeroUsize = NonZeroUsize::new(400).expect("not zero");

/// Answers a second.
pub(crate) const MAX_RATE: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

fn loopback(text: &str) -> Result<SocketAddr, BadValue> {
    let address = metrics::address(text)?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(BadValue::new(
            "the counters are for this host alone",
            "give a loopback address and a port, such as 127.0.0.1:9406 or [::1]:9406",
        ))
    }
}

impl NdpArgs {
    fn settings(self) -> Result<Settings, Failure> {
        let set_up = SetUpSummary::read(&self.state.state_dir)
            .map_err(|error| Failure::because(Exit::Usage, "the last setup is not known", &error));
        let (prefix, device) = match (self.prefix, self.dev) {
            (Some(prefix), Some(device)) => (prefix, device),
            (prefix, device) => complete(prefix, device, set_up?)?,
        };
        let scope = match (self.only_used, self.all) {
            (true, _) => Scope::OnlyUsed,
            (_, true) => Scope::All,
            _ => Scope::Auto,
        };
        Ok(Settings {
            prefix,
            device,
            scope,
            source: match self.source {
                SourceChoice::Auto => SourceWish::Auto,
                SourceChoice::Target => SourceWish::Target,
                SourceChoice::LinkLocal => SourceWish::LinkLocal,
            },
            live: self.live.or((scope != Scope::All).then_some(LIVE)),
            max_rate: self.max_rate,
            snooping: match self.snooping {
                SnoopingChoice::Announce => Snooping::Announce,
                SnoopingChoice::Silent => Snooping::Silent,
            },
            report_solicitations: self.log_solicitations,
        })
    }
}

/// Takes what was not given from the last setup that fits what was.
fn complete(
    prefix: Option<Prefix>,
    device: Option<String>,
    summary: Option<SetUpSummary>,
) -> Result<(Prefix, String), Failure> {
    let setups = summary.map(|summary| summary.setups).unwrap_or_default();
    let set_up = setups.into_iter().find(|set_up| {
        prefix.is_none_or(|prefix| prefix == set_up.prefix)
            && device.as_ref().is_none_or(|device| *device == set_up.device)
    });
    match (prefix, device, set_up) {
        (prefix, device, Some(set_up)) => {
            Ok((prefix.unwrap_or(set_up.prefix), device.unwrap_or(set_up.device)))
        }
        (Some(prefix), None, None) => Err(Failure::new(Exit::Usage, "no device to answer on")
            .why(format!(
                "--dev is not given and {prefix} is not set up on this host"
            ))
            .hint("name the device towards the router, such as --dev eth0")),
        (_, _, None) => Err(Failure::new(Exit::Usage, "no prefix to answer for")
            .why("--prefix is not given and nothing that fits is set up on this host")
            .hint("give --prefix and --dev, or set one up first: `v6kit help setup`")),
    }
}

pub(crate) fn run(args: NdpArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let metrics = args.metrics;
    let settings = args.settings()?;
    super::block_on(answer(settings, metrics, printer))
}

async fn answer(settings: Settings, metrics: Option<SocketAddr>, printer: &Printer) -> anyhow::Result<Exit> {
    let mut interrupts = Interrupts::listen()?;
    let responder = Responder::open(settings.clone())
        .await
        .map_err(|error| failed(&error))?;
    let metrics = match metrics {
        Some(address) => Some(metrics::bind(address, printer).await?),
        None => None,
    };
    let capabilities = keep_only_net_raw().map_err(|error| failed(&error))?;
    crate::stderr::write_in_background();
    let ready = Ready::new(&settings, &responder, metrics.as_ref(), capabilities);
    if let Some(metrics) = metrics {
        let counters = responder.counters();
        tokio::spawn(metrics.serve(move || counters.exposition()));
    }
    // Answering is what counts, whether or not this can be told to others.
    let lock = SingletonLock::acquire(settings.prefix);
    if let Err(error) = &lock
        && error.kind() == std::io::ErrorKind::AddrInUse
    {
        printer.warning(format!(
            "another `v6kit ndp` answers for {} in this network namespace: both answer, and --live and --max-rate hold for each alone",
            settings.prefix
        ));
    }
    tell_ready(&ready, printer);
    let status = format!("answering for {} on {}", settings.prefix, settings.device);
    let mut told = |event: &Event| tell(event, printer);
    let running = responder.run(interrupts.next(), &mut told);
    let summary = tokio::select! {
        summary = running => summary.map_err(|error| failed(&error))?,
        () = service::report(|| status.clone()) => return Ok(Exit::Done),
    };
    service::stopping("done");
    tell_summary(&summary, printer);
    Ok(Exit::Done)
}

pub(crate) fn failed(error: &NdpError) -> Failure {
    let exit = match error {
        NdpError::NotPermitted(_) => Exit::NotPermitted,
        NdpError::NoDevice { .. }
        | NdpError::NoNeighbours { .. }
        | NdpError::Port { .. }
        | NdpError::NoLinkLocal { .. } => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::because(exit, "neighbour solicitations cannot be answered", error)
}

/// That solicitations are heard from now on, for scripts that wait for it.
#[derive(Debug, Serialize)]
struct Ready {
    event: &'static str,
    prefix: Prefix,
    device: String,
    scope: Scope,
    whole_prefix: bool,
    live: Option<NonZeroUsize>,
    source: SourceWish,
    max_rate: NonZeroU32,
    snooping: Snooping,
    link_up: bool,
    capabilities: Vec<String>,
    metrics: Option<SocketAddr>,
    pid: u32,
}

impl Ready {
    fn new(
        settings: &Settings,
        responder: &Responder,
        metrics: Option<&MetricsListener>,
        capabilities: Vec<String>,
    ) -> Self {
        Self {
            event: "ready",
            prefix: settings.prefix,
            device: settings.device.clone(),
            scope: settings.scope,
            whole_prefix: responder.answers_whole_prefix(),
            live: settings.live,
            source: settings.source,
            max_rate: settings.max_rate,
            snooping: settings.snooping,
            link_up: responder.is_link_up(),
            capabilities,
            metrics: metrics.map(MetricsListener::address),
            pid: std::process::id(),
        }
    }

    fn scope(&self) -> String {
        let addresses = match (self.scope, self.whole_prefix) {
            (Scope::All, _) => "every address",
            (Scope::Auto, true) => "every address until a program on this host sends from the prefix",
            (Scope::Auto, false) | (Scope::OnlyUsed, _) => "addresses with a socket on this host",
        };
        match self.live {
            Some(live) => format!("{addresses}, {live} at a time"),
            None => addresses.to_owned(),
        }
    }
}

fn tell_ready(ready: &Ready, printer: &Printer) {
    let Ready { prefix, device, .. } = ready;
    if ready.scope == Scope::All {
        printer.note(format!(
            "every other host on {device} that configures an address of {prefix} will be told that it is taken"
        ));
    }
    if !ready.link_up {
        printer.note(format!(
            "{device} is down; solicitations will be answered when it is up"
        ));
    }
    printer.json_line(ready);
    printer.line(format!(
        "answering for {prefix} on {device}: {}; holding {} only",
        ready.scope(),
        ready.capabilities.join(", ")
    ));
    if let Some(address) = ready.metrics {
        printer.line(format!("counters at http://{address}/metrics"));
    }
    service::ready();
}

fn tell(event: &Event, printer: &Printer) {
    printer.json_line(event);
    match event {
        _ if printer.form() == Form::Json => {}
        Event::Solicitation { .. } => printer.line(event),
        Event::Unheard
        | Event::LiveLimit { .. }
        | Event::RateLimit { .. }
        | Event::SocketListFailed { .. } => {
            printer.warning(event);
        }
        _ => printer.note(event),
    }
}

fn tell_summary(summary: &Summary, printer: &Printer) {
    #[derive(Serialize)]
    struct Last<'a> {
        event: &'static str,
        #[serde(flatten)]
        summary: &'a Summary,
    }
    printer.json_line(&Last {
        event: "summary",
        summary,
    });
    let counts = &summary.counts;
    printer.line(format!(
        "{} solicitations in {} s: {} answered ({} resolutions, {} reachability probes, {} duplicates defended), {} not",
        counts.solicitations,
        summary.seconds,
        counts.answered,
        counts.resolution,
        counts.reachability,
        counts.duplicate,
        counts.refused
    ));
    printer.table(
        counts
            .causes
            .iter()
            .map(|(cause, count)| vec![format!("  {count}"), cause.replace('_', " ")]),
    );
    if counts.dropped > 0 {
        printer.warning(format!(
            "{} solicitations came faster than they were read",
            counts.dropped
        ));
    }
}
