//! `v6kit setup`.

pub(crate) mod config;

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;
use ipnet::Ipv6Net;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use v6kit_host::boot::{self, Persisted, Wish};
use v6kit_host::{
    Conntrack, CutOff, FailureKind, HostError, Inbound, Purpose, SetupReport, SetupState, SetupStep, Uplink,
    Wanted,
};
use v6kit_net::{Code, Prefix};

use super::block_on;
use crate::args::{BadValue, StateArgs};
use crate::failure::{Exit, Failure};
use crate::options::Options;
use crate::printer::{Form, Printer, Tone};
use config::Config;

/// Each value of `--conntrack` and what it means.
const CONNTRACK_HINT: &str =
    "auto, notrack, keep, or the number of connections to have room for, such as 1000000";

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sudo v6kit setup --prefix 2001:db8:1:2::/64 --dev eth0\n  \
    v6kit setup --prefix 2001:db8:1:2::/64 --dev eth0 --for proxy --dry-run\n  \
    sudo v6kit setup --prefix 2001:db8:1:2::/64 --dev eth0 --persist\n  \
    sudo v6kit setup --for server\n\n\
    Everything is journaled before it is changed; `v6kit teardown` puts it back, also after a kill or\n\
    a crash. Run twice, it changes nothing. Several prefixes may be set up side by side.\n\
    Exit: 0 done, 1 something stands against a step, 2 wrong usage, 4 not permitted.")]
pub(crate) struct SetupArgs {
    /// The prefix that is routed to this host; --for server goes without, for the host's own address
    #[arg(long, value_name = "P", value_parser = crate::args::prefix)]
    prefix: Option<Prefix>,
    /// The device that it arrives on; by default that of the setup before, or of the default route
    #[arg(long, value_name = "DEV")]
    dev: Option<String>,
    /// The device that carries the local route; on lo it outlives every link
    #[arg(long, value_name = "DEV", default_value = "lo")]
    route_dev: String,
    /// Connection tracking: auto (room where something is tracked), notrack (not for the prefix), keep,
    /// or room for N connections
    #[arg(long, value_name = "auto|notrack|keep|N", default_value = "auto", value_parser = conntrack)]
    conntrack: Conntrack,
    /// New connections from outside to the prefix
    #[arg(long, value_name = "drop|allow", default_value = "drop")]
    inbound: InboundArg,
    /// File descriptors that one process may need
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u64).range(1024..=1_073_741_816))]
    nofile: u64,
    /// What this host will do: proxy and server get room for incoming connections
    #[arg(long = "for", value_name = "crawl|proxy|server", default_value = "crawl")]
    purpose: PurposeArg,
    /// Go on where somebody in the prefix is cut off, to whom no route can lead
    #[arg(long)]
    yes: bool,
    /// Show the plan and change nothing; needs no root
    #[arg(long)]
    dry_run: bool,
    /// Set it up again at every boot: write /etc/v6kit/host.toml and enable v6kit-setup.service
    #[arg(long)]
    persist: bool,
    /// What the regular check does when something drifted: report it, or repair it
    #[arg(long, value_name = "report|repair", requires = "persist")]
    on_drift: Option<OnDriftArg>,
    /// Take options from this TOML file, which may name several prefixes; what is given here wins over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    state: StateArgs,
    /// What was said about this prefix, on the command line and in a file.
    #[arg(skip)]
    wish: Options,
}

/// What to do about drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnDriftArg {
    /// Say so
    Report,
    /// Set up again
    Repair,
}

impl OnDriftArg {
    fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Repair => "repair",
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum InboundArg {
    /// Drop new TCP connections, UDP and ping; answers to connections from here pass
    Drop,
    /// Let them reach whatever listens on every address
    Allow,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PurposeArg {
    /// Open connections
    Crawl,
    /// Open connections for others
    Proxy,
    /// Take connections
    Server,
}

/// Where the user is logged in from (SSH_CONNECTION of ssh(1): its address comes first).
#[allow(clippy::disallowed_methods, reason = "it is a fact of this host, no option")]
fn session() -> Option<Ipv6Addr> {
    let text = std::env::var("SSH_CONNECTION").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn conntrack(text: &str) -> Result<Conntrack, BadValue> {
    match text {
        "auto" => Ok(Conntrack::Auto),
        "notrack" => Ok(Conntrack::Notrack),
        "keep" => Ok(Conntrack::Keep),
        number => match number.parse::<u32>() {
            Ok(max) if max > 0 => Ok(Conntrack::Max(max.into())),
            _ => Err(BadValue::new(
                format!("`{number}` is neither a mode nor a number of connections"),
                CONNTRACK_HINT,
            )),
        },
    }
}

impl SetupArgs {
    fn wanted(&self) -> Wanted {
        Wanted {
            prefix: self.prefix(),
            device: self.dev.clone().unwrap_or_default(),
            route_device: self.route_dev.clone(),
            conntrack: self.conntrack,
            inbound: match self.inbound {
                InboundArg::Drop => Inbound::Drop,
                InboundArg::Allow => Inbound::Allow,
            },
            nofile: self.nofile,
            purpose: match self.purpose {
                PurposeArg::Crawl => Purpose::Crawl,
                PurposeArg::Proxy => Purpose::Proxy,
                PurposeArg::Server => Purpose::Server,
            },
            session: session(),
            cut_off: if self.yes { CutOff::Accept } else { CutOff::Refuse },
        }
    }

    /// What is wanted, on the device that is named or that there is.
    async fn wanted_here(&self) -> Result<Wanted, Failure> {
        let mut wanted = self.wanted();
        if self.dev.is_none() {
            wanted.device = device(wanted.prefix, &self.state.state_dir).await?;
        }
        Ok(wanted)
    }

    pub(crate) fn prefix(&self) -> Prefix {
        self.prefix.expect("it was filled in")
    }

    /// Takes the address of this host for the prefix where a server is set up without one.
    fn fill_in(&mut self) -> Result<(), Failure> {
        const WHAT: &str = "no prefix is given";
        let found = block_on(async { v6kit_host::uplinks().await.map_err(|error| failure(WHAT, &error)) })?;
        let uplinks: Vec<&Uplink> = found
            .iter()
            .filter(|uplink| self.dev.as_ref().is_none_or(|dev| *dev == uplink.device))
            .collect();
        let own = uplinks
            .iter()
            .find_map(|uplink| Some((uplink.device.clone(), *uplink.addresses.first()?)));
        let Some((device, address)) = own else {
            return Err(Failure::new(Exit::Usage, WHAT)
                .why("no device of an IPv6 default route has an address that tells one")
                .hint("give the prefix that is routed to this host, and the device that it arrives on: `v6kit help setup`"));
        };
        if !matches!(self.purpose, PurposeArg::Server) {
            return Err(Failure::new(Exit::Usage, WHAT).why(seen(&uplinks)).hint(format!(
                "the prefix that is routed to this host; where it is that of {device}: `sudo v6kit setup --prefix {} --dev {device}`",
                address.trunc()
            )));
        }
        if self.persist {
            return Err(Failure::new(Exit::Usage, WHAT)
                .why("what is set up at every boot is known by its prefix")
                .hint(format!(
                    "for this host's address now: --prefix {}/128",
                    address.addr()
                )));
        }
        let whole = Ipv6Net::from(address.addr());
        self.prefix = Some(Prefix::new(whole).map_err(|error| Failure::because(Exit::Usage, WHAT, &error))?);
        self.dev.get_or_insert(device);
        // The address is open as it is; a table would shut nothing.
        if self.wish.values("inbound").is_none() {
            self.inbound = InboundArg::Allow;
        }
        Ok(())
    }

    fn wish(&self, on_drift: Option<OnDriftArg>) -> Wish {
        let wish = self.wish.clone().without(&[
            "config",
            "persist",
            "on-drift",
            "dry-run",
            "state-dir",
            "json",
            "quiet",
            "verbose",
        ]);
        Wish {
            prefix: self.prefix(),
            entry: wish.table(&config::command()),
            on_drift: on_drift.map(|choice| choice.as_str().to_owned()),
        }
    }
}

/// What setup says, and what was arranged for the next boot.
#[derive(Debug, Serialize)]
struct Document {
    #[serde(flatten)]
    report: SetupReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_boot: Option<Persisted>,
}

pub(crate) fn run(mut args: SetupArgs, printer: &Printer) -> Result<Exit, Failure> {
    let said = config::said();
    let Some(path) = args.config.clone() else {
        args.wish = said;
        if args.prefix.is_none() {
            args.fill_in()?;
        }
        let on_drift = args.on_drift;
        let document = one(&args, on_drift)?;
        printer.json(&document);
        return print(&document, printer);
    };
    let Config { setups, on_drift } = Config::read(&path, &said)?;
    let (mut documents, mut failures, mut exit) = (Vec::new(), Vec::new(), Exit::Done);
    for setup in &setups {
        if setups.len() > 1 {
            printer.line(printer.paint(setup.prefix(), Tone::Strong));
        }
        let outcome = one(setup, args.on_drift.or(on_drift)).and_then(|document| {
            let outcome = print(&document, printer);
            documents.push(document);
            outcome
        });
        match outcome {
            Ok(Exit::Done) => {}
            Ok(other) => exit = other,
            Err(failure) => failures.push(failure),
        }
    }
    printer.json(&serde_json::json!({ "setups": documents, "errors": failures }));
    conclude(exit, failures, printer)
}

/// One prefix that fails keeps no other from being set up; the last failure is the command's.
fn conclude(exit: Exit, mut failures: Vec<Failure>, printer: &Printer) -> Result<Exit, Failure> {
    let Some(last) = failures.pop() else {
        return Ok(exit);
    };
    for failure in failures {
        printer.warning(failure.on_one_line());
    }
    if printer.form() == Form::Json {
        printer.warning(last.on_one_line());
        return Ok(last.exit);
    }
    Err(last)
}

/// Sets one prefix up, and arranges the next boot where that is asked for.
fn one(args: &SetupArgs, on_drift: Option<OnDriftArg>) -> Result<Document, Failure> {
    let wish = args.persist.then(|| args.wish(on_drift));
    if let Some(wish) = &wish {
        may_persist(wish, &args.state.state_dir)?;
    }
    let report = set_up(args, args.dry_run)?;
    let mut document = Document {
        report,
        at_boot: None,
    };
    if let Some(wish) = wish
        && !args.dry_run
        && document.report.blocked_by.is_none()
    {
        let what = format!("{} is set up until the next boot only", wish.prefix);
        document.at_boot = Some(block_on(async {
            boot::persist(&wish)
                .await
                .map_err(|error| failure(what, &HostError::from(error)))
        })?);
    }
    Ok(document)
}

/// What stands against `--persist` is told before anything is changed.
fn may_persist(wish: &Wish, state_dir: &Path) -> Result<(), Failure> {
    let what = format!("{} cannot be set up at boot", wish.prefix);
    if state_dir != Path::new(boot::STATE_DIR) {
        return Err(Failure::new(Exit::Usage, what)
            .why(format!(
                "the service keeps its journal in {}, and --state-dir is {}",
                boot::STATE_DIR,
                state_dir.display()
            ))
            .hint("leave --state-dir and V6KIT_STATE_DIR out"));
    }
    boot::check(wish).map_err(|error| failure(what, &HostError::from(error)))
}

/// What uplinks have, for who looks for a prefix.
fn seen(uplinks: &[&Uplink]) -> String {
    let each: Vec<String> = uplinks
        .iter()
        .map(|uplink| {
            let addresses: Vec<String> = uplink.addresses.iter().map(ToString::to_string).collect();
            format!(
                "the default route leaves by {}, which has {}",
                uplink.device,
                addresses.join(", ")
            )
        })
        .collect();
    each.join("; ")
}

/// The device that `prefix` arrives on, where nobody names one.
async fn device(prefix: Prefix, state_dir: &Path) -> Result<String, Failure> {
    let what = format!("which device does {prefix} arrive on?");
    let found = v6kit_host::device_of(state_dir, prefix)
        .await
        .map_err(|error| failure(&what, &error))?;
    if let Some(device) = found {
        return Ok(device);
    }
    let uplinks = v6kit_host::uplinks()
        .await
        .map_err(|error| failure(&what, &error))?;
    match uplinks.as_slice() {
        [one] => Ok(one.device.clone()),
        [] => Err(Failure::new(Exit::Usage, what)
            .why("there is no IPv6 default route whose device it could be")
            .hint("name the device: --dev DEV; `ip link` lists them")),
        [first, ..] => {
            let names: Vec<&str> = uplinks.iter().map(|uplink| uplink.device.as_str()).collect();
            Err(Failure::new(Exit::Usage, what)
                .why(format!("default routes leave by {}", names.join(", ")))
                .hint(format!("name one of them: --dev {}", first.device)))
        }
    }
}

/// Sets one prefix up.
pub(crate) fn set_up(args: &SetupArgs, is_dry_run: bool) -> Result<SetupReport, Failure> {
    let what = format!("setup of {} failed", args.prefix());
    block_on(async {
        let wanted = args.wanted_here().await?;
        let report = if is_dry_run {
            v6kit_host::dry_run(&wanted, &args.state.state_dir).await
        } else {
            let stop = stop_on_signal()?;
            v6kit_host::setup(&wanted, &args.state.state_dir, &stop).await
        };
        let mut report = report.map_err(|error| failure(what, &error))?;
        report.remarks.extend(other_way_out(&wanted).await);
        Ok(report)
    })
}

/// What is to be said where packets of the prefix leave by another device than they are to arrive on.
async fn other_way_out(wanted: &Wanted) -> Option<String> {
    let Wanted { prefix, device, .. } = wanted;
    let other = v6kit_verify::leaves_by(*prefix).await?;
    (other != *device).then(|| {
        format!(
            "packets from {prefix} leave by {other}, not by {device}: where the network of {other} takes none from it, lead them out by {device}: `sudo ip -6 rule add from {prefix} lookup 100`, with a default route by {device} in that table"
        )
    })
}

/// Becomes true when the user asks to stop, which setup looks at between its steps. Asked again, the
/// process ends at once: the journal is good for that too.
fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, Exit::Interrupted.code().into(), Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Failure::new(Exit::Failed, "cannot start").why(error.to_string()))?;
    }
    Ok(stop)
}

/// A failure of the host crate with its exit code.
pub(crate) fn failure(what: impl Into<String>, error: &HostError) -> Failure {
    let exit = match error.kind() {
        FailureKind::Usage => Exit::Usage,
        FailureKind::NotPermitted => Exit::NotPermitted,
        FailureKind::DiskFull => Exit::DiskFull,
        FailureKind::Interrupted => Exit::Interrupted,
        FailureKind::Other => Exit::Failed,
    };
    Failure::because(exit, what, error)
}

fn print(document: &Document, printer: &Printer) -> Result<Exit, Failure> {
    let report = &document.report;
    let header = ["step", "", "before -> after", "why"].map(|title| printer.paint(title, Tone::Faint));
    let rows = report.steps.iter().map(|step| row(step, printer));
    printer.table(std::iter::once(header.to_vec()).chain(rows));
    for step in &report.steps {
        if let Some(hint) = &step.hint {
            printer.hint(format_args!("{}: {hint}", step.id), Some(Code::NotDone));
        }
    }
    for remark in &report.remarks {
        printer.line(format!("{} {remark}", printer.paint("note:", Tone::Warning)));
    }
    if let Some(blocked) = blocking(report) {
        return blocked_exit(report, blocked, printer);
    }
    printer.line("");
    printer.line(conclusion(report));
    if let Some(at_boot) = &document.at_boot {
        print_at_boot(at_boot, printer)?;
    }
    let has_conflict = report.steps.iter().any(|step| step.state == SetupState::Conflict);
    let is_promised = document.at_boot.as_ref().is_none_or(|at_boot| at_boot.enabled);
    Ok(if has_conflict || !is_promised {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn print_at_boot(at_boot: &Persisted, printer: &Printer) -> Result<(), Failure> {
    let file = at_boot.file.display();
    if let Some(replaced) = &at_boot.replaced {
        printer.note(format!("{file} said of this prefix before: {replaced}"));
    }
    for unit in &at_boot.units {
        printer.line(format!("Written, as no package brought it: {}", unit.display()));
    }
    if at_boot.enabled {
        printer.line(format!(
            "At every boot: {file}, by v6kit-setup.service; checked by v6kit-check.timer. Undo: sudo v6kit teardown --persist"
        ));
        return Ok(());
    }
    if printer.form() == Form::Json {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        "it is set up now, and nothing will do so at the next boot",
    )
    .why(format!("this system does not run systemd; {file} is written"))
    .hint(format!(
        "have your init run `v6kit setup --config {file}` once the network is up"
    )))
}

fn blocking(report: &SetupReport) -> Option<&SetupStep> {
    let id = report.blocked_by.as_ref()?;
    report.steps.iter().find(|step| step.id == *id)
}

/// With `--json` the report is the one document, and it says all.
fn blocked_exit(report: &SetupReport, step: &SetupStep, printer: &Printer) -> Result<Exit, Failure> {
    if printer.form() == Form::Json {
        return Ok(Exit::Failed);
    }
    let failure = Failure::new(
        Exit::Failed,
        format!("{} was not set up, and nothing was changed", report.prefix),
    )
    .code(Code::NotDone);
    Err(match &step.hint {
        Some(hint) => failure.why(&step.reason).hint(hint),
        None => failure.why(&step.reason),
    })
}

fn row(step: &SetupStep, printer: &Printer) -> Vec<String> {
    let (word, tone) = match step.state {
        SetupState::Changed => ("changed", Tone::Good),
        SetupState::Unchanged => ("unchanged", Tone::Faint),
        SetupState::Skipped => ("skipped", Tone::Warning),
        SetupState::Conflict => ("conflict", Tone::Bad),
    };
    let before = shown(step.before.as_deref());
    let value = if step.state == SetupState::Changed {
        format!("{before} -> {}", shown(step.after.as_deref()))
    } else {
        before
    };
    vec![
        step.id.clone(),
        printer.paint(word, tone),
        value,
        step.reason.clone(),
    ]
}

/// A value that may be absent or empty.
pub(crate) fn shown(value: Option<&str>) -> String {
    match value {
        None | Some("") => "-".to_owned(),
        Some(text) => text.to_owned(),
    }
}

fn conclusion(report: &SetupReport) -> String {
    match (report.dry_run, report.changed) {
        (true, 0) => "Nothing to change.".to_owned(),
        (true, changed) => {
            format!(
                "{changed} to change. Nothing was changed: this is the plan. Run it without --dry-run, as root."
            )
        }
        (false, 0) => format!(
            "Nothing to change: {} is set up. Next: v6kit verify. Undo: sudo v6kit teardown",
            report.prefix
        ),
        (false, changed) => format!(
            "{changed} changed: {} is set up. Next: v6kit verify. Undo: sudo v6kit teardown",
            report.prefix
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conntrack_takes_a_mode_or_a_number() {
        assert_eq!(conntrack("auto").unwrap(), Conntrack::Auto);
        assert_eq!(conntrack("notrack").unwrap(), Conntrack::Notrack);
        assert_eq!(conntrack("keep").unwrap(), Conntrack::Keep);
        assert_eq!(conntrack("1000000").unwrap(), Conntrack::Max(1_000_000));
        for wrong in ["", "0", "-1", "many", "99999999999"] {
            assert!(conntrack(wrong).is_err(), "{wrong}");
        }
    }
}
