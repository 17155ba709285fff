//! `v6kit router`.

mod args;

use serde::Serialize;
use v6kit_net::{Hint, Prefix};
use v6kit_router::{
    Chain, Change, Check, DeviceName, Dialect, Foreign, LinkLocal, NextHop, OwnAddressError, Ping, Probe,
    Rendering, RouterError, Ssh, Tracking, Wanted,
};

pub(crate) use args::RouterArgs;
use args::{CheckArgs, Kind, PushArgs, RemoveArgs, RenderArgs, RouterCommand};

use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};

pub(crate) fn run(args: RouterArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let exit = match args.command {
        RouterCommand::Render(args) => render(&args, printer),
        RouterCommand::Push(args) => push(args, printer),
        RouterCommand::Check(args) => check(args, printer),
        RouterCommand::Remove(args) => remove(args, printer),
    };
    Ok(exit?)
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
    if !args.chain.is_empty() && !matches!(args.kind, Kind::Nftables) {
        return Err(Failure::new(Exit::Usage, "wrong usage")
            .why("--chain is for nftables")
            .hint("leave it out, or give --as nftables"));
    }
    let wanted = Foreign {
        prefix: prefix_beside(args)?,
        host: args.host,
        lan: named(args.lan.as_deref(), "--lan")?,
        wan: named(args.wan.as_deref(), "--wan")?,
        tracking: args.wanted.notrack.map_or(Tracking::Off, Into::into),
        udp_ports: args.wanted.udp_ports()?.unwrap_or_default(),
        ping: args.wanted.ping.map_or(Ping::Keep, Into::into),
        chains: if args.chain.is_empty() {
            vec![Chain::default()]
        } else {
            args.chain.clone()
        },
    };
    let text = v6kit_router::render_for(&wanted, dialect);
    printer.json(&serde_json::json!({ "as": dialect, "text": text }));
    printer.line(text.trim_end());
    Ok(Exit::Done)
}

/// The prefix, which must not hold the next hop: the router would look for it behind itself.
fn prefix_beside(args: &RenderArgs) -> Result<Prefix, Failure> {
    let prefix = args.wanted.prefix()?;
    match args.host {
        NextHop::Global(host) if prefix.contains(host) => Err(Failure::new(Exit::Usage, "wrong usage")
            .why(format!("the next hop {host} lies in {prefix} itself"))
            .hint("give the host's link-local address (fe80::...), or one outside the prefix")),
        _ => Ok(prefix),
    }
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
    let NextHop::LinkLocal(host) = args.host else {
        return Err(Failure::new(Exit::Usage, "wrong usage")
            .why(format!("OpenWrt needs a link-local address, not {}", args.host))
            .hint("give the one that `ip -6 addr show scope link` shows on the host: a global one is lost at boot"));
    };
    if !args.chain.is_empty() {
        return Err(Failure::new(Exit::Usage, "wrong usage")
            .why("--chain is for nftables: OpenWrt's firewall has its own places for rules")
            .hint("leave it out, or give --as nftables"));
    }
    let wanted = Wanted {
        name: args.name.clone(),
        prefix: args.wanted.prefix()?,
        host,
        lan: interface(&args.lan, "--lan")?,
        wan: interface(&args.wan, "--wan")?,
        tracking: args.wanted.notrack.map(Into::into),
        udp_ports: args.wanted.udp_ports()?,
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
    let udp_ports = args.wanted.udp_ports()?;
    let ssh = args.ssh.router()?;
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
        udp_ports,
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
    let ssh = args.ssh.router()?;
    // A prefix is asked for on behalf of this host, unless another is named.
    let (host, unknown) = match (args.host, args.prefix) {
        (None, Some(prefix)) => match v6kit_router::own_link_local(&ssh) {
            Ok(own) => (Some(own), None),
            Err(error) => (
                None,
                Some(format!(
                    "whether {prefix} is routed to this host is not known: {error}; give its link-local address with --host"
                )),
            ),
        },
        (host, _) => (host, None),
    };
    let mut check = v6kit_router::check(&ssh, &args.name, args.prefix, host)
        .map_err(|error| failed(&error, "the router cannot be checked", printer))?;
    check.warnings.extend(unknown);
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
    let removed = v6kit_router::remove(&args.ssh.router()?, change)
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
