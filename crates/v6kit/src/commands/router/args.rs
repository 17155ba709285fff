//! The arguments of `v6kit router`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use v6kit_host::Summary;
use v6kit_net::{Hint, Prefix};
use v6kit_router::{Base, Destination, Follow, LinkLocal, Name, Ping, Ssh, TableSize, Tracking};

use crate::args::{BadValue, StateArgs};
use crate::failure::{Exit, Failure};

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
  v6kit router render --host fe80::9 --prefix 2001:db8:1:2:abcd::/80 --as vyos")]
pub(crate) struct RouterArgs {
    #[command(subcommand)]
    pub(super) command: RouterCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum RouterCommand {
    /// Print what would be installed, without asking the router anything
    #[command(after_help = "Examples:\n  \
        v6kit router render --host fe80::9 --prefix 2001:db8:1:2:abcd::/80\n  \
        v6kit router render --as nftables --host fe80::9 --prefix 2001:db8:1:2:abcd::/80 \\\n      --lan eth1 --wan eth0")]
    Render(RenderArgs),
    /// Install it on an OpenWrt router over ssh, or change what was installed
    #[command(after_help = "Examples:\n  \
        v6kit router push --prefix 2001:db8:1:2:abcd::/80 --dry-run\n  \
        v6kit router push --prefix 2001:db8:1:2:abcd::/80 --ssh root@192.168.1.1")]
    Push(PushArgs),
    /// Compare the router with what should be there, and look at its tables
    #[command(after_help = "Examples:\n  \
        v6kit router check\n  \
        v6kit router check --ssh root@192.168.1.1 --json")]
    Check(CheckArgs),
    /// Undo everything on the router
    #[command(after_help = "Examples:\n  \
        v6kit router remove --dry-run\n  \
        v6kit router remove --ssh root@192.168.1.1")]
    Remove(RemoveArgs),
}

/// What is wanted, for render and push.
#[derive(Debug, Args)]
pub(super) struct WantedArgs {
    /// The prefix that the host is to get; default: that of the last setup
    #[arg(long, value_name = "P", value_parser = crate::args::prefix)]
    pub(super) prefix: Option<Prefix>,
    /// Do not keep an entry for each connection of the prefix
    #[arg(long, value_name = "WHAT")]
    pub(super) notrack: Option<Switch>,
    /// Do the same for UDP with this remote port; may be repeated
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) udp_port: Vec<u16>,
    /// What becomes of pings from outside to the prefix
    #[arg(long, value_name = "WHAT")]
    pub(super) ping: Option<PingChoice>,
    #[command(flatten)]
    pub(super) state: StateArgs,
}

#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    /// The link-local address of the host (fe80::...)
    #[arg(long, value_name = "ADDR", value_parser = value::<LinkLocal>)]
    pub(super) host: LinkLocal,
    #[command(flatten)]
    pub(super) wanted: WantedArgs,
    /// The kind of router
    #[arg(long = "as", value_name = "KIND", default_value = "openwrt")]
    pub(super) kind: Kind,
    /// Towards the host: OpenWrt's interface, or the device of another router
    #[arg(long, value_name = "NAME")]
    pub(super) lan: Option<String>,
    /// Towards the internet: OpenWrt's interface, or the device of another router
    #[arg(long, value_name = "NAME")]
    pub(super) wan: Option<String>,
    /// The section in OpenWrt's settings, one for each host
    #[arg(long, value_name = "NAME", default_value = "crawler", value_parser = value::<Name>)]
    pub(super) name: Name,
    /// Let OpenWrt put the LAN's or the WAN's prefix in front whenever it changes
    #[arg(long, value_name = "WHAT")]
    pub(super) follow: Option<BaseChoice>,
    /// The size of OpenWrt's connection table: auto (an eighth of RAM), keep or a number
    #[arg(long, value_name = "N", value_parser = table_size)]
    pub(super) conntrack: Option<TableSize>,
}

/// How the router is reached.
#[derive(Debug, Args)]
pub(super) struct SshArgs {
    /// The router, as ssh names it
    #[arg(long, value_name = "DEST", default_value = "root@192.168.1.1", value_parser = value::<Destination>)]
    pub(super) ssh: Destination,
    /// A configuration file for ssh instead of your own
    #[arg(long, value_name = "FILE")]
    pub(super) ssh_config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// The link-local address of the host; default: this host's on the link towards the router
    #[arg(long, value_name = "ADDR", value_parser = value::<LinkLocal>)]
    pub(super) host: Option<LinkLocal>,
    #[command(flatten)]
    pub(super) wanted: WantedArgs,
    #[command(flatten)]
    pub(super) ssh: SshArgs,
    /// The router's interface towards the host [default: lan]
    #[arg(long, value_name = "NAME", value_parser = value::<Name>)]
    pub(super) lan: Option<Name>,
    /// The router's interface towards the internet [default: the one with a delegated prefix]
    #[arg(long, value_name = "NAME", value_parser = value::<Name>)]
    pub(super) wan: Option<Name>,
    /// The section in the router's settings, one for each host
    #[arg(long, value_name = "NAME", default_value = "crawler", value_parser = value::<Name>)]
    pub(super) name: Name,
    /// What the prefix is a part of, and changes with
    #[arg(long, value_name = "WHAT", default_value = "auto")]
    pub(super) follow: FollowChoice,
    /// The size of the connection table, only ever raised: auto (an eighth of RAM), keep or a number
    #[arg(long, value_name = "N", value_parser = table_size)]
    pub(super) conntrack: Option<TableSize>,
    /// Say what would be changed, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The host that the prefix should be routed to
    #[arg(long, value_name = "ADDR", value_parser = value::<LinkLocal>)]
    pub(super) host: Option<LinkLocal>,
    /// The prefix that the host should have
    #[arg(long, value_name = "P", value_parser = crate::args::prefix)]
    pub(super) prefix: Option<Prefix>,
    /// The section in the router's settings
    #[arg(long, value_name = "NAME", default_value = "crawler", value_parser = value::<Name>)]
    pub(super) name: Name,
    #[command(flatten)]
    pub(super) ssh: SshArgs,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    pub(super) ssh: SshArgs,
    /// Say what would be undone, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    // Everything of ours is removed, whichever host it served: accepted so that the line of a push can be
    // reused.
    #[arg(long, hide = true, value_parser = value::<LinkLocal>)]
    pub(super) host: Option<LinkLocal>,
    #[arg(long, hide = true, value_parser = crate::args::prefix)]
    pub(super) prefix: Option<Prefix>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
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
pub(super) enum Switch {
    /// No entry in the table
    On,
    /// An entry for each connection
    Off,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum PingChoice {
    /// As the firewall has it
    Keep,
    /// Dropped
    Drop,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum BaseChoice {
    /// The prefix that is assigned to the LAN
    Lan,
    /// The prefix that is delegated to the WAN
    Wan,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum FollowChoice {
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
    pub(super) fn prefix(&self) -> Result<Prefix, Failure> {
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
