//! `v6kit router`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use v6kit_host::Summary;
use v6kit_net::{Hint, Prefix};
use v6kit_router::{
    Base, Change, Check, Destination, DeviceName, Dialect, Follow, Foreign, LinkLocal, Name, OwnAddressError,
    Ping, Probe, Rendering, RouterError, Ssh, TableSize, Tracking, Wanted,
};

use crate::args::{BadValue, StateArgs};
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};

/// Have the router route a prefix to this host and spare it connection tracking.
///
/// On OpenWrt a small package does both: it keeps the route in step with a delegated prefix that changes,
/// and its rules keep the connections of the prefix out of the router's table. `push` installs it with the
/// system's ssh, `check` compares, `remove` undoes. `render` prints what would be installed, or the same for
/// another kind of router.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  v6kit router push --prefix 2001:db8:1:2:abcd::/80 --dry-run
  v6kit router push --prefix 2001:db8:1:2:abcd::/80 --ssh root@192.168.1.1
  v6kit router check
  v6kit router remove
  v6kit router render --as nftables --host fe80::9 --prefix 2001:db8:1:2:abcd::/80 --lan eth1 --wan eth0")]
pub(crate) struct RouterArgs {
    #[command(subcommand)]
    command: RouterCommand,
}

#[derive(Debug, Subcommand)]
enum RouterCommand {
    /// Print what would be installed, without asking the router anything
    Render(RenderArgs),
    /// Install it on an OpenWrt router over ssh, or change what was installed
    Push(PushArgs),
    /// Compare the router with what should be there, and look at its tables
    Check(CheckArgs),
    /// Undo everything on the router
    Remove(RemoveArgs),
}

/// What is wanted, for render and push.
#[derive(Debug, Args)]
struct WantedArgs {
    /// The prefix that the host is to get; default: that of the last setup
    #[arg(long, value_name = "P", value_parser = crate::args::prefix)]
    prefix: Option<Prefix>,
    /// Do not keep an entry for each connection of the prefix
    #[arg(long, value_name = "WHAT")]
    notrack: Option<Switch>,
    /// Do the same for UDP with this remote port; may be repeated
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    udp_port: Vec<u16>,
    /// What becomes of pings from outside to the prefix
    #[arg(long, value_name = "WHAT")]
    ping: Option<PingChoice>,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Debug, Args)]
struct RenderArgs {
    /// The link-local address of the host (fe80::...)
    #[arg(long, value_name = "ADDR", value_parser = value::<LinkLocal>)]
    host: LinkLocal,
    #[command(flatten)]
    wanted: WantedArgs,
    /// The kind of router
    #[arg(long = "as", value_name = "KIND", default_value = "openwrt")]
    kind: Kind,
    /// Towards the host: OpenWrt's interface, or the device of another router
    #[arg(long, value_name = "NAME")]
    lan: Option<String>,
    /// Towards the internet: OpenWrt's interface, or the device of another router
    #[arg(long, value_name = "NAME")]
    wan: Option<String>,
    /// The section in OpenWrt's settings, one for each host
    #[arg(long, value_name = "NAME", default_value = "crawler", value_parser = value::<Name>)]
    name: Name,
    /// Let OpenWrt put the LAN's or the WAN's prefix in front whenever it changes
    #[arg(long, value_name = "WHAT")]
    follow: Option<BaseChoice>,
    /// The size of OpenWrt's connection table: auto (an eighth of RAM), keep or a number
    #[arg(long, value_name = "N", value_parser = table_size)]
    conntrack: Option<TableSize>,
}

/// How the router is reached.
#[derive(Debug, Args)]
struct SshArgs {
    /// The router, as ssh names it
    #[arg(long, value_name = "DEST", default_value = "root@192.168.1.1", value_parser = value::<Destination>)]
    ssh: Destination,
    /// A configuration file for ssh instead of your own
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct PushArgs {
    /// The link-local address of the host; default: this host's on the link towards the router
    #[arg(long, value_name = "ADDR", value_parser = value::<LinkLocal>)]
    host: Option<LinkLocal>,
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    ssh: SshArgs,
    /// The router's interface towards the host [default: lan]
    #[arg(long, value_name = "NAME", value_parser = value::<Name>)]
    lan: Option<Name>,
    /// The router's interface towards the internet [default: the one with a delegated prefix]
    #[arg(long, value_name = "NAME", value_parser = value::<Name>)]
    wan: Option<Name>,
    /// The section in the router's settings, one for each host
    #[arg(long, value_name = "NAME", default_value = "crawler", value_parser = value::<Name>)]
    name: Name,
    /// What the prefix is a part of, and changes with
    #[arg(long, value_name = "WHAT", default_value = "auto")]
    follow: FollowChoice,
    /// The size of the connection table, only ever raised: auto (an eighth of RAM), keep or a number
    #[arg(long, value_name = "N", value_parser = table_size)]
    conntrack: Option<TableSize>,
    /// Say what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The host that the prefix should be routed to
    #[arg(long, value_name = "ADDR", value_parser = value::<LinkLocal>)]
    host: Option<LinkLocal>,
    /// The prefix that the host should have
    #[arg(long, value_name = "P", value_parser = crate::args::prefix)]
    prefix: Option<Prefix>,
    /// The section in the router's settings
    #[arg(long, value_name = "NAME", default_value = "crawler", value_parser = value::<Name>)]
    name: Name,
    #[command(flatten)]
    ssh: SshArgs,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    #[command(flatten)]
    ssh: SshArgs,
    /// Say what would be undone, and change nothing
    #[arg(long)]
    dry_run: bool,
    // Everything of ours is removed, whichever host it served: accepted so that the line of a push can be
    // reused.
    #[arg(long, hide = true, value_parser = value::<LinkLocal>)]
    host: Option<LinkLocal>,
    #[arg(long, hide = true, value_parser = crate::args::prefix)]
    prefix: Option<Prefix>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// OpenWrt 22.03 and newer
    Openwrt,
    /// Any Linux: the route, as a command
    Iproute2,
    /// Any Linux: the rules, for nft
    Nftables,
    /// VyOS 1.4 and newer
    Vyos,
    /// RouterOS 7
    Routeros,
    /// systemd-networkd: the route
    SystemdNetworkd,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Switch {
    /// No entry in the table
    On,
    /// An entry for each connection
    Off,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PingChoice {
    /// As the firewall has it
    Keep,
    /// Dropped
    Drop,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BaseChoice {
    /// The prefix that is assigned to the LAN
    Lan,
    /// The prefix that is delegated to the WAN
    Wan,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FollowChoice {
    /// The LAN's prefix or the WAN's, if it lies in one
    Auto,
    /// The prefix that is assigned to the LAN
    Lan,
    /// The prefix that is delegated to the WAN
    Wan,
    /// Nothing: it stays as given
    Never,
}

/// Parses a value of the router crate.
fn value<T>(text: &str) -> Result<T, BadValue>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Hint,
{
    text.parse().map_err(|error: T::Err| BadValue::from(&error))
}

fn table_size(text: &str) -> Result<TableSize, BadValue> {
    match text {
        "auto" => Ok(TableSize::Auto),
        "keep" => Ok(TableSize::Keep),
        number => match number.parse() {
            Ok(entries @ 1024..=16_777_216) => Ok(TableSize::Entries(entries)),
            _ => Err(BadValue::new(
                "not auto, keep or a number from 1024 to 16777216",
                "leave it out: the table is then sized by the router's RAM",
            )),
        },
    }
}

impl From<Switch> for Tracking {
    fn from(notrack: Switch) -> Self {
        match notrack {
            Switch::On => Self::Off,
            Switch::Off => Self::On,
        }
    }
}

impl From<PingChoice> for Ping {
    fn from(choice: PingChoice) -> Self {
        match choice {
            PingChoice::Keep => Self::Keep,
            PingChoice::Drop => Self::Drop,
        }
    }
}

impl From<BaseChoice> for Base {
    fn from(choice: BaseChoice) -> Self {
        match choice {
            BaseChoice::Lan => Self::Lan,
            BaseChoice::Wan => Self::Wan,
        }
    }
}

impl From<FollowChoice> for Follow {
    fn from(choice: FollowChoice) -> Self {
        match choice {
            FollowChoice::Auto => Self::Auto,
            FollowChoice::Lan => Self::Base(Base::Lan),
            FollowChoice::Wan => Self::Base(Base::Wan),
            FollowChoice::Never => Self::Never,
        }
    }
}

impl From<SshArgs> for Ssh {
    fn from(args: SshArgs) -> Self {
        Self {
            destination: args.ssh,
            config: args.ssh_config,
        }
    }
}

impl WantedArgs {
    /// The prefix that was given, or that of the last setup.
    fn prefix(&self) -> Result<Prefix, Failure> {
        if let Some(prefix) = self.prefix {
            return Ok(prefix);
        }
        let summary = Summary::read(&self.state.state_dir)
            .map_err(|error| Failure::because(Exit::Usage, "the last setup is not known", &error))?;
        summary
            .and_then(|summary| summary.setups.first().map(|set_up| set_up.prefix))
            .ok_or_else(|| {
                Failure::new(Exit::Usage, "no prefix for the host")
                    .why("--prefix is not given and nothing is set up on this host")
                    .hint("give the prefix that this host is to get, such as a /80 inside the LAN's /64")
            })
    }
}

pub(crate) fn run(args: RouterArgs, printer: &Printer) -> Result<Exit, Failure> {
    match args.command {
        RouterCommand::Render(args) => render(&args, printer),
        RouterCommand::Push(args) => push(args, printer),
        RouterCommand::Check(args) => check(args, printer),
        RouterCommand::Remove(args) => remove(args, printer),
    }
}

fn render(args: &RenderArgs, printer: &Printer) -> Result<Exit, Failure> {
    let dialect = match args.kind {
        Kind::Openwrt => return render_openwrt(args, printer),
        Kind::Iproute2 => Dialect::Iproute2,
        Kind::Nftables => Dialect::Nftables,
        Kind::Vyos => Dialect::Vyos,
        Kind::Routeros => Dialect::Routeros,
        Kind::SystemdNetworkd => Dialect::SystemdNetworkd,
    };
    if args.follow.is_some() || args.conntrack.is_some() {
        return Err(Failure::new(Exit::Usage, "wrong usage")
            .why("--follow and --conntrack are for OpenWrt")
            .hint("leave them out with --as"));
    }
    let wanted = Foreign {
        prefix: args.wanted.prefix()?,
        host: args.host,
        lan: named(args.lan.as_deref(), "--lan")?,
        wan: named(args.wan.as_deref(), "--wan")?,
        tracking: args.wanted.notrack.map_or(Tracking::Off, Into::into),
        udp_ports: args.wanted.udp_port.clone(),
        ping: args.wanted.ping.map_or(Ping::Keep, Into::into),
    };
    let text = v6kit_router::render_for(&wanted, dialect);
    printer.json(&serde_json::json!({ "as": dialect, "text": text }));
    printer.line(text.trim_end());
    Ok(Exit::Done)
}

/// A device that must be given.
fn named(text: Option<&str>, option: &str) -> Result<DeviceName, Failure> {
    let text = text.ok_or_else(|| {
        Failure::new(Exit::Usage, "wrong usage")
            .why(format!("{option} is missing: the router's device"))
            .hint("give both, such as --lan eth1 (towards the host) --wan eth0 (towards the internet)")
    })?;
    parsed(text, option)
}

/// A value whose type depends on another option.
fn parsed<T>(text: &str, option: &str) -> Result<T, Failure>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Hint,
{
    text.parse()
        .map_err(|error| Failure::because(Exit::Usage, format!("that is not a value for {option}"), &error))
}

fn render_openwrt(args: &RenderArgs, printer: &Printer) -> Result<Exit, Failure> {
    let interface =
        |name: &Option<String>, option| name.as_deref().map(|name| parsed(name, option)).transpose();
    let wanted = Wanted {
        name: args.name.clone(),
        prefix: args.wanted.prefix()?,
        host: args.host,
        lan: interface(&args.lan, "--lan")?,
        wan: interface(&args.wan, "--wan")?,
        tracking: args.wanted.notrack.map(Into::into),
        udp_ports: args.wanted.udp_port.clone(),
        ping: args.wanted.ping.map(Into::into),
        table: args.conntrack,
    };
    let rendering = v6kit_router::render(&wanted, args.follow.map(Into::into));
    printer.json(&Document {
        kind: "openwrt",
        rendering: &rendering,
    });
    print_rendering(&rendering, printer);
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "as")]
    kind: &'static str,
    #[serde(flatten)]
    rendering: &'a Rendering,
}

fn print_rendering(rendering: &Rendering, printer: &Printer) {
    let heading = |text: String| printer.line(printer.paint(text, Tone::Strong));
    heading("# settings: uci batch".to_owned());
    for line in &rendering.uci {
        printer.line(line);
    }
    heading("\n# elements of the firewall's sets at the start: nft -f -".to_owned());
    for line in &rendering.nft {
        printer.line(line);
    }
    for file in rendering.files {
        heading(format!("\n# {} (mode {:o})", file.path, file.mode));
        printer.line(file.text.trim_end());
    }
}

fn push(args: PushArgs, printer: &Printer) -> Result<Exit, Failure> {
    let prefix = args.wanted.prefix()?;
    let change = change(args.dry_run);
    let ssh = Ssh::from(args.ssh);
    let host = match args.host {
        Some(host) => host,
        None => own_address(&ssh)?,
    };
    let wanted = Wanted {
        name: args.name,
        prefix,
        host,
        lan: args.lan,
        wan: args.wan,
        tracking: args.wanted.notrack.map(Into::into),
        udp_ports: args.wanted.udp_port,
        ping: args.wanted.ping.map(Into::into),
        table: args.conntrack,
    };
    let pushed = v6kit_router::push(&ssh, &wanted, args.follow.into(), change)
        .map_err(|error| failed(&error, "the router was not set up", printer))?;
    printer.json(&pushed);
    print_router(&pushed.router, printer);
    match pushed.base {
        Some(base) => printer.line(format!(
            "{prefix} to {host}, following the prefix of {}",
            base.as_str()
        )),
        None => printer.line(format!("{prefix} to {host}")),
    }
    print_changes(&pushed.changes, change, printer);
    for warning in &pushed.router.status.warnings {
        printer.warning(warning);
    }
    Ok(Exit::Done)
}

fn own_address(ssh: &Ssh) -> Result<LinkLocal, Failure> {
    v6kit_router::own_link_local(ssh).map_err(|error: OwnAddressError| {
        Failure::because(
            Exit::Failed,
            "this host's address on the router's link is not known",
            &error,
        )
    })
}

fn check(args: CheckArgs, printer: &Printer) -> Result<Exit, Failure> {
    let ssh = Ssh::from(args.ssh);
    let check = v6kit_router::check(&ssh, &args.name, args.prefix, args.host)
        .map_err(|error| failed(&error, "the router cannot be checked", printer))?;
    printer.json(&check);
    print_check(&check, printer);
    Ok(if check.in_order { Exit::Done } else { Exit::Failed })
}

fn print_check(check: &Check, printer: &Printer) {
    print_router(&check.router, printer);
    let status = &check.router.status;
    for prefix in &status.prefixes {
        printer.line(format!(
            "{}: {} to {}, route {}, notrack {}",
            prefix.name, prefix.prefix, prefix.host, prefix.route, prefix.notrack
        ));
    }
    let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    printer.line(format!(
        "connections {} of {}, neighbours {} of {}",
        number(status.conntrack.count),
        number(status.conntrack.max),
        status.neighbours.count,
        number(status.neighbours.limit)
    ));
    for finding in &check.findings {
        printer.line(format!("{} {finding}", printer.paint("wrong:", Tone::Bad)));
    }
    for warning in &check.warnings {
        printer.line(format!("{} {warning}", printer.paint("look:", Tone::Warning)));
    }
    if check.in_order {
        printer.line(printer.paint("in order", Tone::Good));
    }
}

fn remove(args: RemoveArgs, printer: &Printer) -> Result<Exit, Failure> {
    let change = change(args.dry_run);
    let removed = v6kit_router::remove(&Ssh::from(args.ssh), change)
        .map_err(|error| failed(&error, "the router was not restored", printer))?;
    printer.json(&removed);
    print_changes(&removed.changes, change, printer);
    Ok(Exit::Done)
}

fn change(dry_run: bool) -> Change {
    if dry_run { Change::DryRun } else { Change::Make }
}

fn print_router(router: &Probe, printer: &Printer) {
    let status = &router.status;
    let memory = status
        .memory_kib
        .map_or_else(|| "?".to_owned(), |kib| (kib / 1024).to_string());
    printer.line(format!(
        "OpenWrt {}, {memory} MiB of RAM, {}",
        status.release,
        if router.fw4 { "fw4" } else { "no fw4" }
    ));
    for (what, side) in [("lan", &status.lan), ("wan", &status.wan)] {
        printer.line(format!(
            "{what}: {}, device {}, prefix {}",
            side.interface.as_deref().unwrap_or("none"),
            side.device.as_deref().unwrap_or("none"),
            side.prefix
                .map_or_else(|| "none".to_owned(), |prefix| prefix.to_string())
        ));
    }
}

fn print_changes(changes: &[String], change: Change, printer: &Printer) {
    for line in changes {
        printer.line(format!("  {line}"));
    }
    printer.line(match (changes.is_empty(), change) {
        (true, _) => "nothing to change".to_owned(),
        (false, Change::Make) => format!("{} changes made", changes.len()),
        (false, Change::DryRun) => format!("{} changes to make; nothing was changed", changes.len()),
    });
}

/// The failure with its exit code; what had been changed before is shown first.
fn failed(error: &RouterError, what: &str, printer: &Printer) -> Failure {
    if let RouterError::Failed { changes, .. } = error {
        for line in changes {
            printer.note(format!("  {line}"));
        }
    }
    let exit = match error {
        RouterError::Refused { .. } | RouterError::HoldsLan { .. } | RouterError::NothingToFollow { .. } => {
            Exit::Usage
        }
        RouterError::DiskFull { .. } => Exit::DiskFull,
        _ => Exit::Failed,
    };
    Failure::because(exit, what, error)
}
