//! Rules of this host that drop or divert packets, read where this process may (CAP_NET_ADMIN).
//!
//! That a packet was dropped here is seen by its missing on the device, or at the socket; the rules say where to look. One
//! that packets of our connections cannot meet is not named, nor one that counts and counted nothing meanwhile.

mod condition;
mod legacy;
mod nft;

use std::io;
use std::time::Duration;

use serde_json::Value;
use v6kit_net::{Prefix, run_system_program};

use condition::{Condition, Meets};
pub(crate) use condition::{Direction, Flow};

/// How long a program may take to list its rules; one with 150,000 set elements takes nft a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lists the tables of ip6tables-legacy, where its module is loaded: looking any other way would load it.
const LEGACY_TABLES: &str = "/proc/thread-self/net/ip6_tables_names";

/// Chains that call chains, at most (NFT_JUMP_STACK_SIZE of the kernel).
const DEPTH: usize = 16;

/// Where packets meet a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hook {
    In,
    Out,
    /// Where packets of this host do not come by.
    Elsewhere,
    /// From other chains only.
    None,
}

/// What becomes of packets that meet a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Drop,
    /// They go to another address, port or program.
    Divert,
    Accept,
    Return,
    /// They go on in other chains.
    Call(Vec<[String; 3]>),
    None,
}

#[derive(Debug, Clone)]
struct Chain {
    /// Family, table and name.
    id: [String; 3],
    /// How to look at it: `sudo nft -a list chain inet mine in`.
    command: String,
    hook: Hook,
    /// The devices that it is bound to, where it is.
    devices: Vec<String>,
    /// A policy that drops.
    policy: Option<Policy>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Policy {
    /// Packets that met it, where they are counted.
    packets: Option<u64>,
}

#[derive(Debug, Clone)]
struct Rule {
    /// What tells it from the others of its chain.
    name: String,
    conditions: Vec<Condition>,
    /// Packets that met it, where they are counted.
    packets: Option<u64>,
    verdict: Verdict,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Firewall {
    chains: Vec<Chain>,
    /// Our own rule that keeps the prefix out of connection tracking.
    pub(crate) our_notrack: bool,
    /// What could not be read, and why.
    pub(crate) unseen: Vec<String>,
}

impl Firewall {
    /// Reads nftables, and ip6tables-legacy where it is in use.
    pub(crate) async fn read(prefix: Prefix) -> Self {
        let mut firewall = Self::default();
        match output("nft", &["-t", "-j", "list", "ruleset"]).await {
            Ok(text) => firewall.take_nft(&text, prefix),
            Err(error) => firewall.unseen.push(format!("nftables: {error}")),
        }
        if std::fs::read_to_string(LEGACY_TABLES).is_ok_and(|tables| !tables.trim().is_empty()) {
            match output("ip6tables-legacy-save", &["-c"]).await {
                Ok(text) => firewall.chains.extend(legacy::chains(&text)),
                Err(error) => firewall.unseen.push(format!("ip6tables-legacy: {error}")),
            }
        }
        firewall
    }

    fn take_nft(&mut self, text: &str, prefix: Prefix) {
        let document: Value = match serde_json::from_str(text) {
            Ok(document) => document,
            Err(error) => return self.unseen.push(format!("nftables: {error}")),
        };
        let objects = document["nftables"].as_array().map_or(&[][..], Vec::as_slice);
        let ours = format!("{prefix}: not tracked");
        self.our_notrack = objects
            .iter()
            .filter_map(|object| object.get("rule"))
            .any(|rule| rule["table"] == "v6kit" && rule["comment"] == ours);
        self.chains.extend(nft::chains(objects));
    }

    /// Where rules are looked at that can have dropped or diverted packets of `flow`, those first whose counters have grown since
    /// `before`, with by how much.
    pub(crate) fn suspects<'a>(&'a self, before: &Self, flow: &Flow<'_>) -> Vec<(&'a str, Option<u64>)> {
        let hook = match flow.direction {
            Direction::In => Hook::In,
            Direction::Out => Hook::Out,
        };
        let mut walk = Walk {
            firewall: self,
            before,
            flow,
            found: Vec::new(),
        };
        let meets = |chain: &&Chain| {
            chain.hook == hook
                && (chain.devices.is_empty()
                    || flow.devices.is_empty()
                    || chain
                        .devices
                        .iter()
                        .any(|device| flow.devices.contains(&device.as_str())))
        };
        for chain in self.chains.iter().filter(meets) {
            walk.through(chain, DEPTH);
        }
        walk.found
            .sort_by_key(|(_, grown)| std::cmp::Reverse(grown.unwrap_or(0)));
        walk.found
    }

    fn chain(&self, id: &[String; 3]) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.id == *id)
    }
}

/// The way of a flow through the chains.
struct Walk<'a, 'b> {
    firewall: &'a Firewall,
    before: &'b Firewall,
    flow: &'b Flow<'b>,
    found: Vec<(&'a str, Option<u64>)>,
}

/// How a chain ends for packets of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// None of them goes on behind it.
    All,
    /// They go on behind it, or some do.
    Open,
}

impl<'a> Walk<'a, '_> {
    fn through(&mut self, chain: &'a Chain, depth: usize) -> End {
        for rule in &chain.rules {
            let grown = self.grown(chain, rule);
            // Who counts and counted nothing was not met.
            let meets = if grown == Some(0) {
                Meets::None
            } else {
                rule.met_by(self.flow)
            };
            if meets == Meets::None {
                continue;
            }
            let end = match &rule.verdict {
                Verdict::Drop => {
                    self.suspect(chain, grown);
                    End::All
                }
                Verdict::Divert => {
                    self.suspect(chain, grown);
                    End::Open
                }
                Verdict::Accept => End::All,
                Verdict::Return if meets == Meets::All => return End::Open,
                Verdict::Return | Verdict::None => End::Open,
                Verdict::Call(chains) => self.call(chains, depth),
            };
            if end == End::All && meets == Meets::All {
                return End::All;
            }
        }
        if let Some(policy) = &chain.policy {
            let then = self
                .before
                .chain(&chain.id)
                .and_then(|chain| chain.policy.as_ref()?.packets);
            let grown = difference(policy.packets, then);
            if grown != Some(0) {
                self.suspect(chain, grown);
            }
        }
        End::Open
    }

    fn call(&mut self, chains: &'a [[String; 3]], depth: usize) -> End {
        let firewall = self.firewall;
        let mut ends = Vec::new();
        for chain in chains.iter().filter_map(|id| firewall.chain(id)) {
            if depth > 0 {
                ends.push(self.through(chain, depth - 1));
            }
        }
        if ends == [End::All] { End::All } else { End::Open }
    }

    fn grown(&self, chain: &Chain, rule: &Rule) -> Option<u64> {
        let then = self.before.chain(&chain.id)?;
        let then = then.rules.iter().find(|other| other.name == rule.name)?;
        difference(rule.packets, then.packets)
    }

    fn suspect(&mut self, chain: &'a Chain, grown: Option<u64>) {
        match self
            .found
            .iter_mut()
            .find(|(command, _)| *command == chain.command)
        {
            Some((_, most)) => *most = (*most).max(grown),
            None => self.found.push((&chain.command, grown)),
        }
    }
}

fn difference(now: Option<u64>, then: Option<u64>) -> Option<u64> {
    Some(now?.saturating_sub(then?))
}

impl Rule {
    fn met_by(&self, flow: &Flow<'_>) -> Meets {
        let mut all = Meets::All;
        for condition in &self.conditions {
            match condition.met_by(flow) {
                Meets::None => return Meets::None,
                Meets::Perhaps => all = Meets::Perhaps,
                Meets::All => {}
            }
        }
        all
    }
}

/// The output of `program`, which is ended where it takes longer than [`PATIENCE`].
async fn output(program: &'static str, arguments: &'static [&'static str]) -> io::Result<String> {
    let running = tokio::task::spawn_blocking(move || run_system_program(program, arguments, b"", PATIENCE));
    let output = match running.await.map_err(io::Error::other)? {
        Ok(output) => output,
        Err(error) if error.is_missing() => {
            return Err(io::Error::other(format!("{program} is not installed")));
        }
        Err(error) => return Err(error.into_io()),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().next().unwrap_or("it failed").trim().to_owned();
    Err(io::Error::other(line))
}

#[cfg(test)]
mod tests;
