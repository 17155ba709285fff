//! `v6kit exec`.

mod report;
mod settings;
mod warnings;

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::ValueEnum;
use v6kit_exec::{ExecError, Per, Status, Unavailable};
use v6kit_net::Prefix;

use crate::commands::proxy;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::shared_args::{BadValue, StateArgs};

/// Run a program whose connections leave from addresses of the prefix.
///
/// It works with every program, without root and without a proxy: browsers, static binaries, scripts and what they start.
/// Signals, terminal, standard input, environment and exit status are as if the program had been started directly.
/// IPv4 destinations are unreachable for it unless --v4 direct is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Left alone are loopback, the link, unix sockets, --except, sockets that the program binds to an address itself, and port 53 \
of the name servers in /etc/resolv.conf. It is no security boundary: a program that wants to leave from elsewhere can.

Exit: the program's own status; 125 v6kit itself failed, 126 the program cannot be run, 127 it is not there.

Examples:
  v6kit exec -- curl https://example.org/            after `v6kit setup`
  v6kit exec --per 20 -- python3 crawl.py
  v6kit exec --per host -- chromium
  v6kit exec --per process -- wget -r ftp://ftp.example.org/
  v6kit exec --session login-7 -- python3 login.py   as in every run
  v6kit exec --connect-rate 20/s --log made.jsonl -- wget -i list")]
pub(crate) struct ExecArgs {
    /// The prefix to send from; may be given several times; default: all that are set up
    #[arg(long, value_name = "P", value_parser = crate::shared_args::prefix)]
    prefix: Vec<Prefix>,
    /// When the address changes: with each `connection`, with the destination (`host`), with the `process`, after N
    /// connections, or after a time such as 10m
    #[arg(long, value_name = "WHEN", default_value = "connection", value_parser = per)]
    per: Per,
    /// Leave from the address that belongs to this name, the same in every run; with --per host one for each destination
    #[arg(long, value_name = "NAME", value_parser = session)]
    session: Option<String>,
    /// The file with the key of the sessions, made when missing; default: v6kit/session-key in the user's directory for
    /// state (XDG_STATE_HOME)
    #[arg(long, value_name = "F", requires = "session")]
    session_key: Option<PathBuf>,
    /// Connections that are begun, such as 20/s. Blocking ones wait; of others the end says how many came too early
    #[arg(long, value_name = "N/s", value_parser = proxy::rate)]
    connect_rate: Option<f64>,
    /// Append one JSON line per connection to this file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// What happens to IPv4 destinations
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    v4: V4Choice,
    /// Reach this network from the host's own address; may be given several times
    #[arg(long, value_name = "CIDR", value_parser = proxy::network)]
    except: Vec<ipnet::IpNet>,
    /// Use so many source addresses at a time, as an on-link prefix needs it; any number when not given, 300 where `v6kit
    /// ndp` answers for the prefix
    #[arg(long, value_name = "N", value_parser = proxy::addresses)]
    addresses: Option<NonZeroUsize>,
    #[command(flatten)]
    state: StateArgs,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum V4Choice {
    /// They are unreachable
    Refuse,
    /// They are shown this host's own IPv4 address
    Direct,
}

fn per(text: &str) -> Result<Per, BadValue> {
    const HINT: &str =
        "write connection, host, process, a number of connections, or a time such as 30s or 10m";
    match text {
        "connection" => return Ok(Per::Connection),
        "host" => return Ok(Per::Host),
        "process" => return Ok(Per::Process),
        _ => {}
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text
            .parse::<NonZeroU64>()
            .map(Per::Count)
            .map_err(|error| BadValue::new(error.to_string(), HINT));
    }
    crate::shared_args::duration(text)
        .map(Per::Time)
        .map_err(|error| BadValue::new(error.to_string(), HINT))
}

fn session(text: &str) -> Result<String, BadValue> {
    if text.is_empty() {
        return Err(BadValue::new(
            "the name is empty",
            "write any name, such as login-7",
        ));
    }
    Ok(text.to_owned())
}

pub(crate) fn run(args: ExecArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let settings = settings::read(&args, printer)?;
    v6kit_exec::try_out(&settings).map_err(|error| not_possible(&error))?;
    warnings::say(&args.command, printer);
    let ended = v6kit_exec::run(&args.command, settings, &mut |note| report::note(&note, printer))
        .map_err(|error| failed(&error))?;
    let status = ended.status;
    if let Status::NotStarted { errno } = status {
        return Err(not_started(&args.command, errno).into());
    }
    report::print(&ended, &args, printer);
    Ok(match status {
        Status::Exited(status) => Exit::Child(status),
        Status::Signaled(signal) => {
            crate::stderr::settle();
            v6kit_exec::end_like(signal);
            // A signal that ends no process here; 128 and its number, as shells have it.
            Exit::Child(u8::try_from(128 + signal).unwrap_or(u8::MAX))
        }
        Status::NotStarted { .. } => Exit::NotRun,
    })
}

fn not_possible(error: &Unavailable) -> Failure {
    Failure::because(
        Exit::NotRun,
        "the program did not run: its connections cannot be seen here",
        error,
    )
}

fn failed(error: &ExecError) -> Failure {
    let what = match error {
        ExecError::SupervisorGone => "the program was ended",
        _ => "the program did not run",
    };
    Failure::because(Exit::NotRun, what, error)
}

/// As env(1): 127 for a program that is not there, 126 for one that cannot be run.
fn not_started(command: &[OsString], errno: i32) -> Failure {
    let error = std::io::Error::from_raw_os_error(errno);
    let (status, what) = match error.kind() {
        std::io::ErrorKind::NotFound => (127, "name"),
        _ => (126, "permissions"),
    };
    let program = command
        .first()
        .map(|word| word.to_string_lossy())
        .unwrap_or_default();
    Failure::new(Exit::Child(status), "the command did not run")
        .why(format!("{program}: {error}"))
        .hint(format!("check its {what}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn when_the_address_changes_is_a_word_a_number_or_a_time() {
        assert_eq!(per("connection").unwrap(), Per::Connection);
        assert_eq!(per("host").unwrap(), Per::Host);
        assert_eq!(per("process").unwrap(), Per::Process);
        assert_eq!(per("20").unwrap(), Per::Count(NonZeroU64::new(20).unwrap()));
        assert_eq!(per("10m").unwrap(), Per::Time(Duration::from_secs(600)));
        for wrong in ["", "0", "-1", "never", "0s", "99999999999999999999"] {
            assert!(per(wrong).is_err(), "{wrong}");
        }
    }
}
