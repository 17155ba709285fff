//! `v6kit verify`.

use std::num::NonZeroUsize;
use std::time::Duration;

use v6kit_host::{NetlinkError, ReadError, Summary};
use v6kit_net::Prefix;
use v6kit_verify::{Check, Endpoint, EndpointError, Outcome, Report, VerifyError, VerifySettings};

use super::block_on;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};
use crate::shared_args::{BadValue, StateArgs};

/// Prove that connections leave from addresses of the prefix, or name what is wrong.
///
/// Connects from random addresses of the prefix to a server that answers with the caller's address. Needs
/// no privileges; as root it sees more when answers are missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    v6kit verify\n  \
    v6kit verify --prefix 2001:db8:1:2::/64 --count 64\n  \
    v6kit verify --endpoint http://[2001:db8:80::80]:8080/\n\n\
    Exit status: 0 when every address was answered, 1 when not. The diagnosis is one of ok, on-link,\n\
    no-return, filtered, rewritten, not-set-up, table-full, no-uplink, dropped-here, misrouted,\n\
    renumbered, no-ipv6, no-name, bad-endpoint, path-mtu; `v6kit explain NAME` says more.")]
pub(crate) struct VerifyArgs {
    /// The routed prefix; that of the last setup when not given
    #[arg(long, value_name = "P", value_parser = crate::shared_args::prefix)]
    prefix: Option<Prefix>,
    /// A server that answers with the caller's address, as text or JSON; may be given several times, to be
    /// tried in turn; public ones when not given
    #[arg(long, value_name = "URL", env = "V6KIT_ENDPOINT", value_parser = endpoint)]
    endpoint: Vec<Endpoint>,
    /// How many random addresses are tried
    #[arg(long, value_name = "N", default_value = "32")]
    count: NonZeroUsize,
    /// How long a connection may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = crate::shared_args::duration)]
    timeout: Duration,
    /// The device to watch when answers are missing; the one that leads to the server when not given
    #[arg(long, value_name = "DEV")]
    dev: Option<String>,
    #[command(flatten)]
    state: StateArgs,
}

/// Addresses that are tried before a command begins: the server is somebody else's.
const FEW: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");
/// For how long a connection may take then.
const SHORT: Duration = Duration::from_secs(3);

/// More than verify opens at once.
const FILES: u64 = 2048;

pub(crate) fn run(args: &VerifyArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let prefix = match args.prefix {
        Some(prefix) => prefix,
        None => prefix_of_last_setup(args)?,
    };
    // Where this fails and the limit is too low, a check says so.
    let _ = v6kit_net::raise_file_limit(FILES);
    let report = block_on::<_, Failure>(async {
        let mut settings = settings(prefix, &args.endpoint).await?;
        settings.count = args.count;
        settings.timeout = args.timeout;
        settings.device.clone_from(&args.dev);
        settings.home = home_of(prefix, args);
        look(&settings).await
    })?;
    printer.json(&report);
    print(&report, printer);
    Ok(if report.ok { Exit::Done } else { Exit::Failed })
}

async fn settings(prefix: Prefix, endpoints: &[Endpoint]) -> Result<VerifySettings, Failure> {
    Ok(VerifySettings {
        prefix,
        endpoints: match endpoints {
            [] => Endpoint::public(),
            named => named.to_vec(),
        },
        count: FEW,
        timeout: SHORT,
        device: None,
        home: None,
        reserved: v6kit_host::reserved_addresses()
            .await
            .map_err(|error| unreadable(&error))?,
        seed: rand::random(),
        inbound: v6kit_host::exposure(prefix),
    })
}

async fn look(settings: &VerifySettings) -> Result<Report, Failure> {
    v6kit_verify::verify(settings)
        .await
        .map_err(|error| failure(&error))
}

/// What is found with few requests and soon, before a command begins, of a prefix that is set up on `device`.
pub(crate) async fn of_line(prefix: Prefix, endpoints: &[Endpoint], device: &str) -> Result<Report, Failure> {
    let mut settings = settings(prefix, endpoints).await?;
    settings.home = Some(device.to_owned());
    look(&settings).await
}

fn prefix_of_last_setup(args: &VerifyArgs) -> Result<Prefix, Failure> {
    let summary = Summary::read(&args.state.state_dir).map_err(|error: ReadError| {
        Failure::because(Exit::Usage, "the prefix of the last setup is not known", &error)
    })?;
    let last = summary.as_ref().and_then(Summary::latest).ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no prefix to verify")
            .why(format!(
                "nothing is set up (looked in {})",
                args.state.state_dir.display()
            ))
            .hint("give --prefix P, or set one up: `v6kit help setup`")
    })?;
    Ok(last.prefix)
}

/// The device that the prefix was set up on. A summary that cannot be read knows none.
fn home_of(prefix: Prefix, args: &VerifyArgs) -> Option<String> {
    let summary = Summary::read(&args.state.state_dir).ok().flatten()?;
    let setup = summary.setups.into_iter().find(|setup| setup.prefix == prefix)?;
    Some(setup.device)
}

fn print(report: &Report, printer: &Printer) {
    printer.table(report.checks.iter().map(|check| {
        vec![
            outcome(check.outcome, printer),
            check.id.to_owned(),
            check.detail.clone(),
        ]
    }));
    for check in report.checks.iter().filter(|check| is_own_advice(check, report)) {
        if let Some(hint) = &check.hint {
            printer.hint(format_args!("{}: {hint}", check.id), check.code);
        }
    }
    let tone = if report.ok { Tone::Good } else { Tone::Bad };
    let diagnosis = printer.paint(report.diagnosis, tone);
    printer.line(format_args!("\n{diagnosis}: {}", report.meaning));
    if let Some(hint) = &report.hint {
        printer.hint(hint, report.diagnosis.code());
    }
}

fn outcome(outcome: Outcome, printer: &Printer) -> String {
    let (text, tone) = match outcome {
        Outcome::Ok => ("ok", Tone::Good),
        Outcome::Failed => ("failed", Tone::Bad),
        Outcome::Warning => ("warning", Tone::Warning),
        Outcome::Skipped => ("skipped", Tone::Faint),
    };
    printer.paint(text, tone)
}

/// Whether the check has advice that the diagnosis does not repeat.
fn is_own_advice(check: &Check, report: &Report) -> bool {
    check.outcome != Outcome::Ok && check.hint != report.hint
}

fn failure(error: &VerifyError) -> Failure {
    Failure::because(Exit::Usage, "nothing can be verified", error)
}

fn unreadable(error: &NetlinkError) -> Failure {
    Failure::because(Exit::Failed, "this host's addresses cannot be listed", error)
}

pub(crate) fn endpoint(text: &str) -> Result<Endpoint, BadValue> {
    text.parse()
        .map_err(|error: EndpointError| BadValue::from(&error))
}
