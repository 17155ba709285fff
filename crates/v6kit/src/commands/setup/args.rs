//! The options of `v6kit setup`.

use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ipnet::Ipv6Net;
use v6kit_host::boot::Wish;
use v6kit_host::{
    Conntrack, CutOff, HostError, Inbound, Origin, OriginError, Program, Purpose, Rotation, Span, Uplink,
    Wanted,
};
use v6kit_net::Prefix;
use v6kit_verify::Endpoint;

use super::{config, failure, uplink};
use crate::commands::block_on;
use crate::failure::{Exit, Failure};
use crate::options::Options;
use crate::shared_args::{BadValue, StateArgs};

/// Each value of `--conntrack` and what it means.
const CONNTRACK_HINT: &str =
    "auto, notrack, keep, or the number of connections to have room for, such as 1000000";

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sudo v6kit setup --prefix 2001:db8:1:2::/64 --dev eth0\n  \
    v6kit setup --prefix 2001:db8:1:2::/64 --dev eth0 --for proxy --dry-run\n  \
    sudo v6kit setup --prefix 2001:db8:1:2::/64 --dev eth0 --persist\n  \
    sudo v6kit setup --for server\n  \
    sudo v6kit setup --prefix 2001:db8:1:2::/64 --for everything --from br0\n  \
    v6kit setup --prefix 2001:db8:1:2::/64 -- v6kit crawl -i urls.txt -o job\n\n\
    With `-- CMD` the host is set up for as long as CMD and what it starts run. CMD runs as who called, in\n\
    this process's place; root is asked for by sudo or doas where it is not there. Everything else that is\n\
    printed goes to standard error.\n\n\
    Everything is journaled before it is changed; `v6kit teardown` puts it back, also after a kill or\n\
    a crash. Run twice, it changes nothing. Several prefixes may be set up side by side.\n\
    Exit: 0 done, 1 something stands against a step, 2 wrong usage, 4 not permitted. With CMD: 125 where it\n\
    did not run, 126 where it cannot be run, 127 where it is not there, otherwise its own.")]
pub(crate) struct SetupArgs {
    /// The prefix that is routed to this host; --for server goes without, for the host's own address
    #[arg(long, value_name = "P", value_parser = crate::shared_args::prefix)]
    pub(super) prefix: Option<Prefix>,
    /// The device that it arrives on; by default that of the setup before, or of the default route
    #[arg(long, value_name = "DEV")]
    pub(super) dev: Option<String>,
    /// The device that carries the local route; on lo it outlives every link
    #[arg(long, value_name = "DEV", default_value = "lo")]
    route_dev: String,
    /// Connection tracking: auto (room where something is tracked), notrack (not for the prefix), keep,
    /// or room for N connections
    #[arg(long, value_name = "auto|notrack|keep|N", default_value = "auto", value_parser = conntrack)]
    conntrack: Conntrack,
    /// New connections from outside to the prefix
    #[arg(long, value_name = "drop|allow", default_value = "drop")]
    inbound: InboundArg,
    /// File descriptors that one process may need
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u64).range(1024..=1_073_741_816))]
    pub(super) nofile: u64,
    /// What this host will do: proxy and server get room for incoming connections, everything gives what
    /// passes this host (virtual machines, containers, a LAN) addresses of the prefix
    #[arg(
        long = "for",
        value_name = "crawl|proxy|server|everything",
        default_value = "crawl"
    )]
    pub(super) purpose: PurposeArg,
    /// With --for everything: whose connections leave from the prefix, by the device that they come in by
    /// or their network; lo is this host itself
    #[arg(long, value_name = "DEV|CIDR", value_parser = origin)]
    pub(super) from: Vec<Origin>,
    /// Go on where somebody in the prefix is cut off, to whom no route can lead
    #[arg(long)]
    pub(super) yes: bool,
    /// Show the plan and change nothing; needs no root
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Set it up again at every boot: write /etc/v6kit/host.toml and enable v6kit-setup.service
    #[arg(long)]
    pub(super) persist: bool,
    /// What the regular check does when something drifted: report it, or repair it
    #[arg(long, value_name = "report|repair", requires = "persist")]
    pub(super) on_drift: Option<OnDriftArg>,
    /// Take options from this TOML file, which may name several prefixes; what is given here wins over it
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// With CMD: a server that answers with the caller's address, to verify that connections leave from the
    /// prefix; public ones when not given
    #[arg(long, value_name = "URL", env = "V6KIT_ENDPOINT", value_parser = crate::commands::verify::endpoint)]
    pub(super) endpoint: Vec<Endpoint>,
    /// With CMD: run it without verifying
    #[arg(long)]
    pub(super) no_verify: bool,
    /// With CMD: run it as it is; without this its connections leave from the prefix, as by `v6kit exec`
    #[arg(long)]
    pub(super) plain: bool,
    /// With CMD, as root: run it as this user; by default as whoever called sudo, doas or pkexec
    #[arg(long = "as", value_name = "USER")]
    pub(super) run_as: Option<String>,
    /// Sets up for this process.
    #[arg(long, hide = true, value_name = "PID-START", value_parser = program)]
    pub(super) for_program: Option<Program>,
    /// Watches that process.
    #[arg(long, hide = true, requires = "for_program")]
    pub(super) watch: bool,
    /// Run CMD with the prefix set up, and undo that when it has ended; `v6kit` is this program
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["persist", "config", "dry_run", "on_drift"])]
    pub(super) command: Vec<OsString>,
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// What was said about this prefix, on the command line and in a file.
    #[arg(skip)]
    pub(super) wish: Options,
}

/// What to do about drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnDriftArg {
    /// Say so
    Report,
    /// Set up again
    Repair,
}

impl OnDriftArg {
    fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Repair => "repair",
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum InboundArg {
    /// Drop new TCP connections, UDP and ping; answers to connections from here pass
    Drop,
    /// Let them reach whatever listens on every address
    Allow,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum PurposeArg {
    /// Open connections
    Crawl,
    /// Open connections for others
    Proxy,
    /// Take connections
    Server,
    /// Translate connections of others
    Everything,
}

/// Where the user is logged in from (SSH_CONNECTION of ssh(1): its address comes first).
#[allow(clippy::disallowed_methods, reason = "it is a fact of this host, no option")]
fn session() -> Option<Ipv6Addr> {
    let text = std::env::var("SSH_CONNECTION").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn conntrack(text: &str) -> Result<Conntrack, BadValue> {
    match text {
        "auto" => Ok(Conntrack::Auto),
        "notrack" => Ok(Conntrack::Notrack),
        "keep" => Ok(Conntrack::Keep),
        number => match number.parse::<u32>() {
            Ok(max) if max > 0 => Ok(Conntrack::Max(max.into())),
            _ => Err(BadValue::new(
                format!("`{number}` is neither a mode nor a number of connections"),
                CONNTRACK_HINT,
            )),
        },
    }
}

fn origin(text: &str) -> Result<Origin, BadValue> {
    text.parse().map_err(|error: OriginError| BadValue::from(&error))
}

fn program(text: &str) -> Result<Program, BadValue> {
    let parsed = text.split_once('-').and_then(|(pid, start)| {
        Some(Program {
            pid: pid.parse().ok().filter(|pid| *pid > 0)?,
            start: start.parse().ok()?,
        })
    });
    parsed.ok_or_else(|| BadValue::new("it is no process", "leave it out: v6kit gives it to itself"))
}

impl SetupArgs {
    /// Whether it is for as long as a program runs.
    pub(crate) fn is_for_program(&self) -> bool {
        !self.command.is_empty() || self.for_program.is_some()
    }

    /// Whether the command's connections are to leave from the prefix whatever it is: not those of a server, and not of
    /// v6kit, which knows by itself.
    pub(super) fn wraps_command(&self) -> bool {
        let is_this = self.command.first().is_some_and(|word| word == "v6kit");
        !self.plain
            && !is_this
            && !matches!(self.purpose, PurposeArg::Server)
            && !self.prefix.is_some_and(Prefix::is_this_host)
    }

    /// Options that say something of a command want one.
    pub(super) fn require_command(&self, said: &Options) -> Result<(), Failure> {
        let options = [
            ("--endpoint", said.values("endpoint").is_some()),
            ("--no-verify", self.no_verify),
            ("--plain", self.plain),
            ("--as", self.run_as.is_some()),
        ];
        match options.iter().find(|(_, is_said)| *is_said) {
            None => Ok(()),
            Some((option, _)) => Err(Failure::new(Exit::Usage, "wrong usage")
                .why(format!("{option} is for a command, and none is given"))
                .hint("put the command behind `--`, or run `v6kit verify` after the setup")),
        }
    }

    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            prefix: self.prefix(),
            device: self.dev.clone().unwrap_or_default(),
            route_device: self.route_dev.clone(),
            conntrack: self.conntrack,
            inbound: match self.inbound {
                InboundArg::Drop => Inbound::Drop,
                InboundArg::Allow => Inbound::Allow,
            },
            nofile: self.nofile,
            purpose: match self.purpose {
                PurposeArg::Crawl => Purpose::Crawl,
                PurposeArg::Proxy => Purpose::Proxy,
                PurposeArg::Server => Purpose::Server,
                PurposeArg::Everything => Purpose::Everything,
            },
            session: session(),
            cut_off: if self.yes { CutOff::Accept } else { CutOff::Refuse },
            span: if self.is_for_program() {
                Span::Program
            } else {
                Span::Lasting
            },
            rotation: (!self.from.is_empty()).then(|| Rotation {
                from: self.from.clone(),
                seed: rand::random(),
            }),
        }
    }

    /// Whose connections are meant is said where, and only where, somebody's are translated.
    fn require_origin(&self) -> Result<(), Failure> {
        let wrong = |why: &str, hint: &str| Err(Failure::new(Exit::Usage, "wrong usage").why(why).hint(hint));
        match (self.purpose, self.from.as_slice()) {
            (PurposeArg::Everything, []) => wrong(
                "--for everything is for what is named by --from, and nothing is",
                "name the device that it comes in by, or its network: --from br0, --from fd00:1::/64",
            ),
            (PurposeArg::Crawl | PurposeArg::Proxy | PurposeArg::Server, [_, ..]) => wrong(
                "--from says whose connections --for everything gives addresses to",
                "add --for everything, or leave --from out",
            ),
            _ => Ok(()),
        }
    }

    /// What is wanted, on the device that is named or that there is.
    pub(super) async fn wanted_here(&self) -> Result<Wanted, Failure> {
        self.require_origin()?;
        let mut wanted = self.wanted();
        if self.dev.is_none() && !wanted.prefix.is_this_host() {
            wanted.device = uplink::device(wanted.prefix, &self.state.state_dir).await?;
        }
        Ok(wanted)
    }

    pub(crate) fn prefix(&self) -> Prefix {
        self.prefix.expect("it was filled in")
    }

    /// Takes the address of this host for the prefix where a server is set up without one.
    pub(super) fn fill_in(&mut self) -> Result<(), Failure> {
        const WHAT: &str = "no prefix is given";
        let has_ipv6 = Path::new("/proc/sys/net/ipv6").exists();
        let found = block_on::<_, Failure>(async {
            let failed = |error: HostError| failure(WHAT, &error);
            let found = match has_ipv6 {
                true => v6kit_host::uplinks().await.map_err(failed)?,
                false => Vec::new(),
            };
            // A server behind no default route is one for its neighbours.
            if found.iter().all(|uplink| uplink.addresses.is_empty()) {
                return v6kit_host::addressed().await.map_err(failed);
            }
            Ok(found)
        })?;
        let uplinks: Vec<&Uplink> = found
            .iter()
            .filter(|uplink| self.dev.as_ref().is_none_or(|dev| *dev == uplink.device))
            .collect();
        let own = uplinks
            .iter()
            .find_map(|uplink| Some((uplink.device.clone(), *uplink.addresses.first()?)));
        // At another boot the address may be another one: what is wished for every boot names none.
        let Some((device, address)) = own.filter(|_| !self.persist) else {
            self.go_without_prefix();
            return Ok(());
        };
        let whole = Ipv6Net::from(address.addr());
        self.prefix = Some(Prefix::new(whole).map_err(|error| Failure::because(Exit::Usage, WHAT, &error))?);
        self.dev.get_or_insert(device);
        // The address is open as it is; a table would shut nothing.
        if self.wish.values("inbound").is_none() {
            self.inbound = InboundArg::Allow;
        }
        Ok(())
    }

    /// Whether it may do without a prefix: fill_in finds one, or that there is none.
    pub(super) fn needs_no_prefix(&self) -> bool {
        matches!(self.purpose, PurposeArg::Server)
    }

    /// A server without an address that tells a prefix gets what goes for any address, at every boot too: then it is
    /// looked anew.
    fn go_without_prefix(&mut self) {
        self.prefix = Some(Prefix::THIS_HOST);
        self.dev.get_or_insert_default();
        if self.wish.values("inbound").is_none() {
            self.inbound = InboundArg::Allow;
        }
    }

    pub(super) fn wish(&self, on_drift: Option<OnDriftArg>) -> Wish {
        let wish = self.wish.clone().without(&[
            "as",
            "endpoint",
            "no-verify",
            "plain",
            "config",
            "persist",
            "on-drift",
            "dry-run",
            "state-dir",
            "json",
            "quiet",
            "verbose",
        ]);
        Wish {
            prefix: self.prefix(),
            entry: wish.table(&config::command()),
            on_drift: on_drift.map(|choice| choice.as_str().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conntrack_takes_a_mode_or_a_number() {
        assert_eq!(conntrack("auto").unwrap(), Conntrack::Auto);
        assert_eq!(conntrack("notrack").unwrap(), Conntrack::Notrack);
        assert_eq!(conntrack("keep").unwrap(), Conntrack::Keep);
        assert_eq!(conntrack("1000000").unwrap(), Conntrack::Max(1_000_000));
        for wrong in ["", "0", "-1", "many", "99999999999"] {
            assert!(conntrack(wrong).is_err(), "{wrong}");
        }
    }
}
