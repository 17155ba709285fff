//! `v6kit lab`.

mod demo;

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use clap::{Subcommand, ValueEnum};
use v6kit_lab::{Isolation, Lab, LabError, LabSettings, Topology, is_shell, isolate};
use v6kit_net::Prefix;

use crate::commands::echo::LimitArgs;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// Try it all on a host, a router and a target in network namespaces.
///
/// Nothing outside the lab is touched, and nothing stays behind when it ends, however it ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    v6kit lab demo\n  \
    v6kit lab run --topology on-link -- bash")]
pub(crate) struct LabArgs {
    #[command(subcommand)]
    command: LabSubcommand,
}

#[derive(Debug, Subcommand)]
enum LabSubcommand {
    /// See the whole story happen in under a minute: refused, set up, proven, crawled, put back
    Demo(demo::DemoArgs),
    /// Run a command on the host side of a lab
    Run(RunArgs),
}

/// Run a command on the host side of a lab, as its root; the exit status is the command's.
#[derive(Debug, clap::Args)]
#[command(after_help = "The command finds in its environment:\n  \
    V6KIT_LAB_PREFIX      the prefix that belongs to the host\n  \
    V6KIT_LAB_DEV         the device that leads to the router\n  \
    V6KIT_LAB_TARGET      URL of an echo server behind the router\n  \
    V6KIT_ENDPOINT        the same, which verify and setup ask by default\n  \
    V6KIT_LAB_TARGET_TLS  the same with TLS and a self-signed certificate\n  \
    V6KIT_LAB_TARGET_CA   that certificate, for --cacert\n  \
    V6KIT_LAB_ROUTER_NS, V6KIT_LAB_TARGET_NS\n                        \
    network namespaces to look at: nsenter --net=\"$V6KIT_LAB_ROUTER_NS\" ip -6 route\n  \
    V6KIT_STATE_DIR       where setup keeps its journal in the lab\n\n\
    Examples:\n  \
    v6kit lab run -- bash\n  \
    v6kit lab run -- sh -c 'v6kit setup --prefix $V6KIT_LAB_PREFIX \\\n      \
    --dev $V6KIT_LAB_DEV && v6kit verify --endpoint $V6KIT_LAB_TARGET'\n  \
    v6kit lab run --topology on-link -- sh -c 'v6kit setup -q \\\n      \
    --prefix $V6KIT_LAB_PREFIX --dev $V6KIT_LAB_DEV; v6kit verify'")]
struct RunArgs {
    /// How the router treats the prefix
    #[arg(long, value_name = "KIND", default_value = "routed")]
    topology: TopologyChoice,
    /// The prefix that belongs to the host
    #[arg(long, value_name = "P", default_value = DEFAULT_PREFIX, value_parser = crate::shared_args::prefix)]
    prefix: Prefix,
    #[command(flatten)]
    limit: LimitArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Documentation addresses (RFC 3849), which no network uses.
const DEFAULT_PREFIX: &str = "2001:db8:6::/64";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TopologyChoice {
    /// The router sends the whole prefix to the host
    Routed,
    /// The router solicits each address of the prefix on the LAN
    OnLink,
    /// The router has no way back to the prefix
    NoReturn,
    /// The router prohibits packets from the prefix
    Filtered,
    /// The router replaces source addresses with its own (needs nft)
    Rewritten,
    /// The router routes the prefix and tracks every connection (needs nft)
    Stateful,
}

impl From<TopologyChoice> for Topology {
    fn from(choice: TopologyChoice) -> Self {
        match choice {
            TopologyChoice::Routed => Self::Routed,
            TopologyChoice::OnLink => Self::OnLink,
            TopologyChoice::NoReturn => Self::NoReturn,
            TopologyChoice::Filtered => Self::Filtered,
            TopologyChoice::Rewritten => Self::Rewritten,
            TopologyChoice::Stateful => Self::Stateful,
        }
    }
}

pub(crate) fn run(args: LabArgs, printer: &Printer) -> anyhow::Result<Exit> {
    match args.command {
        LabSubcommand::Demo(args) => demo::run(&args, printer),
        LabSubcommand::Run(args) => run_command(args, printer),
    }
}

// Neither a runtime nor a second thread may exist before this process has been cloned.
fn run_command(args: RunArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let entered = match isolate().map_err(|error| no_lab(&error))? {
        Isolation::Ended(status) => return Ok(Exit::Child(status)),
        Isolation::Entered(entered) => entered,
    };
    let settings = LabSettings {
        topology: args.topology.into(),
        prefix: args.prefix,
        limit: args.limit.limit(),
    };
    let lab = Lab::build(&settings).map_err(|error| no_lab(&error))?;
    greet(&args, &lab, printer);
    let command = lab
        .with_prompt(args.command, variable("ZDOTDIR"), variable("ENV"))
        .map_err(|error| no_lab(&error))?;
    let status = lab.run(&entered, &command).map_err(|error| no_command(&error))?;
    Ok(Exit::Child(status))
}

/// Tells who begins to type in the lab where they are, and how they leave.
fn greet(args: &RunArgs, lab: &Lab, printer: &Printer) {
    if !is_shell(&args.command) || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return;
    }
    let environment = lab.environment();
    let value = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map_or_else(String::new, |(_, value)| value.to_string_lossy().into_owned())
    };
    let device = value("V6KIT_LAB_DEV");
    let what = match args.topology {
        TopologyChoice::Routed => format!("is routed to this host, on {device}"),
        TopologyChoice::OnLink => format!("lies on the link of {device}: the router asks for each address"),
        TopologyChoice::NoReturn => "leaves this host, and the router has no way back to it".to_owned(),
        TopologyChoice::Filtered => "leaves this host, and the router prohibits it".to_owned(),
        TopologyChoice::Rewritten => {
            "is routed to this host, and the router replaces it on the way out".to_owned()
        }
        TopologyChoice::Stateful => {
            "is routed to this host, and the router tracks every connection".to_owned()
        }
    };
    for line in [
        format!("This is the lab: {} {what}.", args.prefix),
        format!(
            "The target is {}. `exit` leaves, and nothing stays.",
            value("V6KIT_LAB_TARGET")
        ),
        "Begin: v6kit setup --prefix $V6KIT_LAB_PREFIX --dev $V6KIT_LAB_DEV".to_owned(),
    ] {
        printer.note(line);
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a shell finds its own files by them, which the lab's prompt must not hide"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn no_lab(error: &LabError) -> Failure {
    let exit = match error {
        LabError::Refused { .. } | LabError::MapUser { .. } => Exit::NotPermitted,
        LabError::PrefixInUse { .. } => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::because(exit, "the lab cannot be built", error)
}

/// As env(1) and nohup(1) have it: 127 for a command that is not there, 126 for one that cannot be run.
fn no_command(error: &LabError) -> Failure {
    let exit = match error {
        LabError::Command { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::Child(127),
        LabError::Command { .. } => Exit::Child(126),
        _ => Exit::Failed,
    };
    Failure::because(exit, "the command did not run in the lab", error)
}
