//! What is to be fetched, and how.

use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use v6kit_model::input::{BodyForm, Items, List, RequestSpec, shown};
use v6kit_model::{Coding, HttpVersion, Order, Outcome};
use v6kit_net::Prefix;
use v6kit_store::{Compression, Description, Extent, KeepFree, Storage};

use crate::connect::connection::{Deadlines, Identity, Trust};
use crate::connect::names::Pin;
use crate::connect::proxy::Proxy;
use crate::judge::expect::Expectations;
use crate::site::breaker::ErrorBudget;
use crate::site::outage::DeliveryCheck;
use crate::site::rate::{OnLimit, Rate};
use crate::site::robots::RobotsPolicy;

/// File descriptors that are no connections, whatever else: the ledger, the terminal, name servers.
const OTHER_FILES: usize = 128;

/// A segment and a runtime for each shard.
const FILES_PER_SHARD: usize = 8;

/// File descriptors of a crawl on so many threads that are no connections.
#[must_use]
pub fn other_files(threads: usize) -> usize {
    OTHER_FILES + FILES_PER_SHARD * threads
}

/// What is to be fetched. Two runs with the same job continue each other.
#[derive(Debug, Clone)]
pub struct Job {
    /// Where the items come from.
    pub items: Items,
    /// What is sent for each.
    pub request: RequestSpec,
    /// In which order they are visited.
    pub order: Order,
    /// Only this many of them, in the order of visiting.
    pub limit: Option<u64>,
    /// The largest body that is stored, in bytes.
    pub max_body: u64,
    /// What is kept of each answer, and in which form.
    pub storage: Storage,
    /// What an answer must be like to count as data.
    pub expect: Expectations,
    /// What becomes of content codings.
    pub coding: Coding,
    /// How many redirects are followed for an item.
    pub redirects: u32,
    /// What becomes of cookies.
    pub cookies: CookiePolicy,
}

/// What becomes of cookies (RFC 6265).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookiePolicy {
    /// They are forgotten.
    Forget,
    /// Each source address keeps those that it was given, and sends no others.
    PerAddress,
}

impl Job {
    /// The number of items.
    #[must_use]
    pub fn extent(&self) -> Extent {
        let items = self.items.count();
        Extent {
            items,
            visited: items.min(self.limit.unwrap_or(u64::MAX)),
        }
    }

    /// What tells this job from another one: what is asked for and what is stored of it. How the site is reached
    /// (names, proxies, client certificates, source addresses) and how fast is not part of it, so that it may
    /// change when a crawl goes on.
    #[must_use]
    pub fn description(&self) -> Description {
        let headers: Vec<String> = self
            .request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", shown(value)))
            .collect();
        let entries = [
            ("url", self.items.to_string()),
            (
                "list",
                self.items
                    .list()
                    .map_or_else(|| "none".to_owned(), List::identity),
            ),
            (
                Description::LIST_FILE,
                self.items
                    .list()
                    .and_then(List::path)
                    .map(|path| path.display().to_string())
                    .unwrap_or_default(),
            ),
            (
                Description::REPEAT,
                match self.items.rounds().get() {
                    1 => "none".to_owned(),
                    rounds => rounds.to_string(),
                },
            ),
            ("method", self.request.method.to_string()),
            ("headers", headers.join("\n")),
            ("body", String::from_utf8_lossy(&self.request.body).into_owned()),
            (
                "order",
                match self.order {
                    Order::Sequential => "sequential".to_owned(),
                    Order::Shuffle { seed } => format!("shuffle {seed}"),
                },
            ),
            (
                "limit",
                self.limit
                    .map_or_else(|| "none".to_owned(), |limit| limit.to_string()),
            ),
            ("max-body", self.max_body.to_string()),
            ("format", self.storage.format.to_string()),
            ("store", self.storage.content.to_string()),
            ("extract", self.storage.extract_text()),
            (
                "timing",
                if self.storage.timing { "kept" } else { "none" }.to_owned(),
            ),
            ("expect", self.expect.to_string()),
            ("redirects", self.redirects.to_string()),
            (
                "cookies",
                match self.cookies {
                    CookiePolicy::Forget => "no".to_owned(),
                    CookiePolicy::PerAddress => "yes".to_owned(),
                },
            ),
            ("user", self.request.login.to_string()),
            (
                "raw",
                match self.coding {
                    Coding::Undo => "no".to_owned(),
                    Coding::Keep => "yes".to_owned(),
                },
            ),
        ];
        let fill = self.request.body_looks_filled().then(|| {
            let fill = match self.request.body_form {
                BodyForm::Literal => "no",
                BodyForm::Filled => "yes",
            };
            (Description::FILL, fill.to_owned())
        });
        let entries = entries.into_iter().chain(fill);
        Description::new(entries.map(|(name, value)| (name.to_owned(), value)))
    }
}

/// How it is fetched. Another run of the same job may do it differently.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The job directory.
    pub output: PathBuf,
    /// Where requests leave from; `None` leaves it to the kernel.
    pub sources: Option<Sources>,
    /// Requests per destination and time.
    pub rate: Rate,
    /// Requests to all destinations together and time.
    pub rate_total: Rate,
    /// New connections to all destinations together and time.
    pub connect_rate: Rate,
    /// Requests in flight, over all shards.
    pub concurrency: usize,
    /// Whether as many as that are in flight, or as many as prove useful up to that.
    pub concurrency_mode: ConcurrencyMode,
    /// Bytes that bodies and records may take on their way to the disk, over all slots.
    pub memory: usize,
    /// Shards.
    pub threads: usize,
    /// Whether robots.txt counts.
    pub robots: RobotsPolicy,
    /// The version of HTTP.
    pub http: HttpVersion,
    /// HTTP/2 streams on one connection at a time.
    pub streams: u64,
    /// Attempts beyond the first for an item that fails in a way that may pass.
    pub retries: u32,
    /// What to do when the site says that it is asked too often.
    pub on_limit: OnLimit,
    /// How much may fail before the crawl pauses, and ends; `None` for all.
    pub error_budget: Option<ErrorBudget>,
    /// How long nothing may be reached from this host before the crawl ends.
    pub max_outage: Duration,
    /// How it is looked whether the prefix is delivered to this host; `None` where it is not.
    pub delivery: Option<DeliveryCheck>,
    /// The deadlines.
    pub deadlines: Deadlines,
    /// What is trusted.
    pub trust: Trust,
    /// Who we are to servers that ask.
    pub identity: Option<Identity>,
    /// Names whose addresses are given.
    pub resolve: Vec<Pin>,
    /// What is between us and the destinations.
    pub proxy: Option<Proxy>,
    /// How records are compressed.
    pub compression: Compression,
    /// How long a record waits for others before it is committed with them, at most.
    pub commit_every: Duration,
    /// How much of the disk is left to others.
    pub keep_free: KeepFree,
    /// The words of the command, for the job directory to remember.
    pub invocation: Vec<String>,
    /// The words that say the same from wherever they are said, without a job file and without secrets.
    pub options: Vec<String>,
    /// Whether the list may have grown since the job began.
    pub append: bool,
    /// Items whose newest records have these outcomes are fetched again.
    pub retry: Vec<Outcome>,
    /// How long requests that are under way have to come in when the crawl is stopped.
    pub grace: Duration,
    /// Where jitter and the like begin.
    pub seed: u64,
}

/// The prefix to send from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The prefix.
    pub prefix: Prefix,
    /// Addresses of it that must not be used: the host's own and the gateway's.
    pub excluded: Vec<Ipv6Addr>,
    /// Where drawing starts.
    pub seed: u64,
    /// Whether each host sees one address and no other, drawn by this.
    pub per_host: Option<u64>,
    /// How many requests leave from one address before another is drawn.
    pub requests_per_address: u64,
    /// How old an address may become before another is drawn.
    pub address_age: Option<Duration>,
    /// How many addresses may be used at a time; `None` for any number.
    pub addresses: Option<NonZeroUsize>,
}

/// What the number of requests in flight is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConcurrencyMode {
    /// As given.
    Fixed,
    /// Found out, up to what is given.
    Auto,
}

#[cfg(test)]
mod tests;
