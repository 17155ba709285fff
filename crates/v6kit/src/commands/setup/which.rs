//! Which prefix is meant, where none is named.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use serde::Serialize;
use v6kit_host::{Looks, Offer, Summary};
use v6kit_net::shell_word;

use super::SetupArgs;
use super::failure;
use crate::commands::block_on;
use crate::failure::{Exit, Failure};
use crate::printer::{Form, Printer, Tone};

const WHAT: &str = "no prefix is given";

/// What this host may have, with the lines to type.
#[derive(Debug, Serialize)]
struct Document<'a> {
    prefixes: &'a [Offer],
    error: &'a Failure,
}

/// The line that sets it up.
fn line(offer: &Offer, command: &str) -> String {
    // Where a command follows, root is asked for when it is needed.
    let sudo = if command.is_empty() { "sudo " } else { "" };
    format!(
        "{sudo}v6kit setup --prefix {} --dev {}{command}",
        offer.prefix,
        shell_word(&offer.device)
    )
}

/// The prefixes of this host that arrive on the device that is named, if one is.
pub(super) fn offers(args: &SetupArgs) -> Result<Vec<Offer>, Failure> {
    let offers =
        block_on::<_, Failure>(async { v6kit_host::offers().await.map_err(|error| failure(WHAT, &error)) })?;
    let is_wanted = |offer: &Offer| args.dev.as_ref().is_none_or(|device| *device == offer.device);
    Ok(offers.into_iter().filter(is_wanted).collect())
}

/// Lists what there is, as nothing can be set up without a prefix.
pub(super) fn list(args: &SetupArgs, printer: &Printer) -> Result<Exit, Failure> {
    let offers = offers(args)?;
    let failure = unnamed(&offers, "");
    if printer.form() == Form::Json {
        printer.json(&Document {
            prefixes: &offers,
            error: &failure,
        });
        printer.warning(failure.on_one_line());
        return Ok(failure.exit);
    }
    tell(&offers, printer);
    Err(failure)
}

fn tell(offers: &[Offer], printer: &Printer) {
    let header = ["device", "prefix", "looks"].map(|title| printer.paint(title, Tone::Faint));
    let rows = offers.iter().map(|offer| {
        let looks = match offer.looks {
            Looks::Routed => "routed to this host".to_owned(),
            Looks::OnLink => on_link(offer),
        };
        vec![offer.device.clone(), offer.prefix.to_string(), looks]
    });
    if !offers.is_empty() {
        printer.table(std::iter::once(header.to_vec()).chain(rows));
        printer.line("");
    }
}

/// That it lies on a link, and who lives there as far as it is known.
fn on_link(offer: &Offer) -> String {
    let mut text = "on-link".to_owned();
    match offer.others.as_slice() {
        [] => {}
        [one] => text.push_str(&format!("; {one} lives in it")),
        [one, more @ ..] => text.push_str(&format!("; {one} and {} more live in it", more.len())),
    }
    text
}

/// Why none of them is taken by itself, and what to type.
fn unnamed(offers: &[Offer], command: &str) -> Failure {
    let failure = Failure::new(Exit::Usage, WHAT);
    let routed: Vec<&Offer> = offers
        .iter()
        .filter(|offer| offer.looks == Looks::Routed)
        .collect();
    match (routed.as_slice(), offers) {
        ([one], _) => failure
            .why(format!("{} looks routed to this host", one.prefix))
            .hint(format!("`{}`", line(one, command))),
        ([first, ..], _) => failure
            .why(format!("{} prefixes look routed to this host: {}", routed.len(), names(&routed)))
            .hint(format!("name one: `{}`", line(first, command))),
        ([], []) => failure
            .why("no device has a global IPv6 prefix, tunnels, deprecated and private ones left out")
            .hint("give the prefix that is routed to this host, and the device that it arrives on: `v6kit help setup`"),
        ([], [first, ..]) => failure
            .why(format!("{}: {}", seen(first), doubt(first)))
            .hint(format!(
                "the prefix that is routed to this host; where all of {} is yours: `{}`",
                first.prefix,
                line(first, command)
            )),
    }
}

fn names(offers: &[&Offer]) -> String {
    let names: Vec<String> = offers.iter().map(|offer| offer.prefix.to_string()).collect();
    names.join(", ")
}

fn seen(offer: &Offer) -> String {
    let addresses: Vec<String> = offer
        .addresses
        .iter()
        .map(|address| format!("{address}/{}", offer.prefix.length()))
        .collect();
    let device = if offer.is_uplink {
        format!("the default route leaves by {}, which", offer.device)
    } else {
        offer.device.clone()
    };
    format!("{device} has {}", addresses.join(", "))
}

/// What an address of a prefix does not tell: a provider may give 16 addresses of a /64.
fn doubt(offer: &Offer) -> String {
    format!(
        "it lies on a link, and whether all of {} is yours cannot be seen",
        offer.prefix
    )
}

/// The prefix for a command: what is set up, what is routed here, or what the user says is theirs.
pub(super) fn for_command(args: &mut SetupArgs, printer: &Printer) -> Result<(), Failure> {
    if args.prefix.is_some() {
        return Ok(());
    }
    if args.needs_no_prefix() {
        return args.fill_in();
    }
    if let Some((prefix, device)) = set_up(args) {
        args.prefix = Some(prefix);
        args.dev.get_or_insert(device);
        return Ok(());
    }
    let offers = offers(args)?;
    let routed: Vec<&Offer> = offers
        .iter()
        .filter(|offer| offer.looks == Looks::Routed)
        .collect();
    let command = crate::command_line::quoted(&words(args));
    let chosen = match (routed.as_slice(), offers.as_slice()) {
        ([one], _) => (*one).clone(),
        ([], [one]) if args.yes || is_theirs(one, printer) => one.clone(),
        _ => {
            if offers.len() > 1 {
                tell(&offers, printer);
            }
            return Err(unnamed(&offers, &format!(" -- {command}")));
        }
    };
    printer.note(format!("{} on {}", chosen.prefix, chosen.device));
    args.prefix = Some(chosen.prefix);
    args.dev.get_or_insert(chosen.device);
    Ok(())
}

fn words(args: &SetupArgs) -> Vec<String> {
    args.command
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// What was set up last in this boot, to last.
fn set_up(args: &SetupArgs) -> Option<(v6kit_net::Prefix, String)> {
    let summary = Summary::read(&args.state.state_dir).ok().flatten()?;
    let fits = |device: &String| args.dev.as_ref().is_none_or(|wanted| wanted == device);
    summary
        .setups
        .into_iter()
        .find(|setup| !setup.for_programs && setup.is_of_this_boot() && fits(&setup.device))
        .map(|setup| (setup.prefix, setup.device))
}

/// Asks on a terminal whether all of an on-link prefix is the user's.
fn is_theirs(offer: &Offer, printer: &Printer) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    printer.note(format!("{}: {}.", seen(offer), doubt(offer)));
    if !offer.others.is_empty() {
        printer.note(format!("{}.", on_link(offer)));
    }
    printer.ask(&format!("Is all of {} yours? [y/N] ", offer.prefix));
    matches!(typed().trim(), "y" | "Y" | "yes" | "Yes")
}

/// A line of the terminal, octet by octet: what is typed after it is the command's.
fn typed() -> String {
    let (stdin, mut line, mut octet) = (io::stdin(), Vec::new(), [0]);
    while nix::unistd::read(stdin.as_fd(), &mut octet) == Ok(1) && octet[0] != b'\n' {
        line.push(octet[0]);
    }
    String::from_utf8_lossy(&line).into_owned()
}
