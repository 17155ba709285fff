//! `v6kit lab`.

mod demo;

use std::ffi::OsString;

use clap::{Subcommand, ValueEnum};
use v6kit_lab::{Isolation, Lab, LabCommand, LabError, LabSettings, Topology, isolate};
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
    v6kit lab run --topology on-link -- v6kit verify --prefix 2001:db8:6::/64")]
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
        LabSubcommand::Run(args) => run_command(args),
    }
}

// Neither a runtime nor a second thread may exist before this process has been cloned.
fn run_command(args: RunArgs) -> anyhow::Result<Exit> {
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
    let command = LabCommand { words: args.command };
    let status = lab.run(&entered, &command).map_err(|error| no_command(&error))?;
    Ok(Exit::Child(status))
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
        LabError::Command { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Exit::Child(127),
        LabError::Command { .. } => Exit::Child(126),
        _ => Exit::Failed,
    };
    Failure::because(exit, "the command did not run in the lab", error)
}
