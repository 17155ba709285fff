//! What a run says: while it lasts, and at its end.

use std::io::IsTerminal;

use serde::Serialize;
use v6kit_exec::{Ended, Note, Per, Status, Tally};

use super::ExecArgs;
use crate::printer::Printer;

/// Says what is worth a line while the program runs.
pub(super) fn note(note: &Note, printer: &Printer) {
    match note {
        Note::NameServer(server) => printer.note(format_args!(
            "the name server {server} of /etc/resolv.conf is reached from this host's own address"
        )),
        Note::WildcardPort { program, port } => printer.warning(format_args!(
            "{program} has bound UDP port {port} of every address, as a service does: what it sends from there leaves from \
             this host's own address"
        )),
        Note::NotSeen { program } => printer.warning(format_args!(
            "the kernel does not let {program} be looked at (prctl(2), PR_SET_DUMPABLE, or kernel.yama.ptrace_scope): its \
             connections are refused"
        )),
        Note::Foreign { program } => printer.warning(format_args!(
            "{program} uses system calls of another table (32-bit): its connections are refused"
        )),
        Note::NotBound { from, why } => printer.warning(format_args!(
            "a socket cannot be bound to {from}: {why}; its connection is refused"
        )),
        Note::Outlived => {
            if printer.is_verbose() {
                printer.note("what the program left running is served on");
            }
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    /// The program's exit status, or `null` where a signal ended it.
    exit: Option<u8>,
    signal: Option<i32>,
    #[serde(flatten)]
    tally: &'a Tally,
}

/// What the run came to: always where something is not as one would expect, else for people.
pub(super) fn print(ended: &Ended, args: &ExecArgs, printer: &Printer) {
    let tally = &ended.tally;
    let (exit, signal) = match ended.status {
        Status::Exited(status) => (Some(status), None),
        Status::Signaled(signal) => (None, Some(signal)),
        Status::NotStarted { .. } => (None, None),
    };
    printer.json(&Document { exit, signal, tally });
    if printer.form() == crate::printer::Form::Json {
        return;
    }
    let remarks = remarks(tally, args);
    if !remarks.is_empty() || printer.is_verbose() || std::io::stderr().is_terminal() {
        let mut line = made(tally);
        for remark in &remarks {
            line.push_str("; ");
            line.push_str(remark);
        }
        printer.note(format_args!("v6kit exec: {line}"));
    }
}

fn many(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn made(tally: &Tally) -> String {
    let addresses = many(tally.addresses as u64, "address", "addresses");
    let mut made = many(tally.connections, "connection", "connections");
    if tally.datagram_sockets > 0 {
        made.push_str(&format!(
            " and {}",
            many(tally.datagram_sockets, "UDP socket", "UDP sockets")
        ));
    }
    format!("{made} from {addresses} of the prefix")
}

/// What is not as one would expect, each with its reason.
fn remarks(tally: &Tally, args: &ExecArgs) -> Vec<String> {
    let mut remarks = Vec::new();
    let refused = tally.ipv4_refused + tally.ipv4_refused_datagrams;
    let others: u64 = [&tally.not_seen, &tally.foreign, &tally.not_bound]
        .iter()
        .flat_map(|names| names.values())
        .sum();
    let others = others + tally.bound_elsewhere + tally.wildcard_refused + tally.wildcard_left;
    if tally.connections + tally.datagram_sockets + others == 0 && refused == 0 && tally.ipv4_direct == 0 {
        remarks.push(
            "it made none that was seen: it may have had nothing to fetch, or left its work to a program that ran before"
                .to_owned(),
        );
    }
    if tally.ipv4_refused > 0 || refused > 0 && tally.connections == 0 {
        let destination = tally
            .ipv4_destinations
            .first()
            .map(|to| format!(", such as {to}"));
        remarks.push(format!(
            "{} to IPv4 refused{}, which no address of an IPv6 prefix reaches; --v4 direct lets them leave from this host's own \
             address",
            many(refused, "connection", "connections"),
            destination.unwrap_or_default()
        ));
    }
    if tally.connections > 1 && tally.addresses == 1 && args.session.is_none() {
        let why = match args.per {
            Per::Connection => "the prefix or --addresses leaves no other",
            Per::Host => "--per host keeps it for each destination",
            Per::Process => "--per process keeps it for each process",
            Per::Count(_) | Per::Time(_) => "--per changes it later",
        };
        remarks.push(format!("all had one address, as {why}"));
    }
    let counted = [
        (
            tally.bound_elsewhere,
            "left from an address that the program chose",
        ),
        (
            tally.wildcard_refused,
            "refused, as the program had bound the socket to a port of every address before",
        ),
        (
            tally.wildcard_left,
            "sent from this host's own address by a UDP service of the program",
        ),
        (
            tally.not_paced,
            "began before their turn: non-blocking ones cannot be held, so --connect-rate was not kept",
        ),
        (tally.not_logged, "missing in the log, which could not be written"),
    ];
    remarks.extend(
        counted
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}")),
    );
    for (names, what) in [
        (
            &tally.not_seen,
            "calls refused of programs that cannot be looked at",
        ),
        (&tally.foreign, "calls refused of another table (32-bit)"),
        (&tally.not_bound, "sockets not bound"),
    ] {
        let total: u64 = names.values().sum();
        if total > 0 {
            let names: Vec<&str> = names.keys().map(String::as_str).collect();
            remarks.push(format!("{total} {what} ({})", names.join(", ")));
        }
    }
    remarks
}
