//! The arguments of `v6kit router`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use v6kit_host::Summary;
use v6kit_net::{Hint, Prefix};
use v6kit_router::{
    Base, Chain, Destination, Follow, LinkLocal, Name, NextHop, Ping, SectionName, Ssh, TableSize, Tracking,
};

use crate::failure::{Exit, Failure};
use crate::shared_args::{BadValue, StateArgs};

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
        v6kit router render --as nftables --host fe80::9 \\\n      --prefix 2001:db8:1:2:abcd::/80 --lan eth1 --wan eth0")]
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
    #[arg(long, value_name = "P", value_parser = crate::shared_args::prefix)]
    pub(super) prefix: Option<Prefix>,
    /// Do not keep an entry for each connection of the prefix
    #[arg(long, value_name = "WHAT")]
    pub(super) notrack: Option<Switch>,
    /// Do the same for UDP with this remote port; may be repeated; `none` takes those of before back
    #[arg(long, value_name = "PORT", value_parser = udp_port)]
    pub(super) udp_port: Vec<UdpPort>,
    /// What becomes of pings from outside to the prefix
    #[arg(long, value_name = "WHAT")]
    pub(super) ping: Option<PingChoice>,
    #[command(flatten)]
    pub(super) state: StateArgs,
}

#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    /// The link-local address of the host (fe80::...); for routers that are not OpenWrt a global one as well
    #[arg(long, value_name = "ADDR", value_parser = value::<NextHop>)]
    pub(super) host: NextHop,
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
    #[arg(long, value_name = "NAME", default_value = "crawler", value_parser = value::<SectionName>)]
    pub(super) name: SectionName,
    /// Let OpenWrt put the LAN's or the WAN's prefix in front whenever it changes
    #[arg(long, value_name = "WHAT")]
    pub(super) follow: Option<BaseChoice>,
    /// The size of OpenWrt's connection table: auto (an eighth of RAM), keep or a number
    #[arg(long, value_name = "N", value_parser = table_size)]
    pub(super) conntrack: Option<TableSize>,
    /// A chain of nftables that drops what is forwarded, for --as nftables; may be repeated
    /// [default: inet filter forward]
    #[arg(long, value_name = "FAMILY TABLE CHAIN", value_parser = value::<Chain>)]
    pub(super) chain: Vec<Chain>,
}

/// How the router is reached.
#[derive(Debug, Args)]
pub(super) struct SshArgs {
    /// The router, as ssh names it [default: root@192.168.1.1, where that is on a link of this host]
    #[arg(long, value_name = "DEST", value_parser = value::<Destination>)]
    pub(super) ssh: Option<Destination>,
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
    #[arg(long, value_name = "NAME", default_value = "crawler", value_parser = value::<SectionName>)]
    pub(super) name: SectionName,
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
    /// The host that the prefix should be routed to; default, with --prefix: this host
    #[arg(long, value_name = "ADDR", value_parser = value::<LinkLocal>)]
    pub(super) host: Option<LinkLocal>,
    /// The prefix that the host should have
    #[arg(long, value_name = "P", value_parser = crate::shared_args::prefix)]
    pub(super) prefix: Option<Prefix>,
    /// The section in the router's settings
    #[arg(long, value_name = "NAME", default_value = "crawler", value_parser = value::<SectionName>)]
    pub(super) name: SectionName,
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
    #[arg(long, hide = true, value_parser = crate::shared_args::prefix)]
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

/// The address that OpenWrt gives itself.
const OPENWRT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

impl SshArgs {
    /// The router that was given, or OpenWrt's own address where it is on a link of this host. No other address
    /// is tried unasked.
    pub(super) fn router(self) -> Result<Ssh, Failure> {
        let destination = match self.ssh {
            Some(destination) => destination,
            None => near_by()?,
        };
        Ok(Ssh {
            destination,
            config: self.ssh_config,
        })
    }
}

fn near_by() -> Result<Destination, Failure> {
    let unknown = |why: String| {
        Failure::new(Exit::Usage, "it is not known which router to ask")
            .why(why)
            .hint("name it with --ssh root@ADDRESS; `ip route show default` shows the router of this host")
    };
    match v6kit_router::is_on_link(OPENWRT) {
        Ok(true) => value::<Destination>(&format!("root@{OPENWRT}"))
            .map_err(|error| unknown(format!("{OPENWRT}: {error}"))),
        Ok(false) => Err(unknown(format!(
            "--ssh is not given, and {OPENWRT} is on no link of this host"
        ))),
        Err(error) => Err(unknown(format!("this host's links cannot be read: {error}"))),
    }
}

/// A remote port, or the word that takes ports back.
#[derive(Debug, Clone, Copy)]
pub(super) enum UdpPort {
    None,
    Port(u16),
}

fn udp_port(text: &str) -> Result<UdpPort, BadValue> {
    match text {
        "none" => Ok(UdpPort::None),
        number => match number.parse() {
            Ok(port @ 1..) => Ok(UdpPort::Port(port)),
            _ => Err(BadValue::new(
                "neither a port from 1 to 65535 nor `none`",
                "give one such as 443, or `none` to take those of before back",
            )),
        },
    }
}

impl WantedArgs {
    /// The ports that were given; `None`: none was named, and what is configured stays.
    pub(super) fn udp_ports(&self) -> Result<Option<Vec<u16>>, Failure> {
        let ports: Vec<u16> = self
            .udp_port
            .iter()
            .filter_map(|port| match port {
                UdpPort::None => None,
                UdpPort::Port(port) => Some(*port),
            })
            .collect();
        if !ports.is_empty() && ports.len() < self.udp_port.len() {
            return Err(Failure::new(Exit::Usage, "wrong usage")
                .why("--udp-port none goes without other ports")
                .hint("leave it out: the ports that are given take the place of those of before"));
        }
        Ok((!self.udp_port.is_empty()).then_some(ports))
    }

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
