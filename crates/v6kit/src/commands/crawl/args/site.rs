//! How long to wait for a site, and what to do when it refuses.

use std::time::Duration;

use clap::ValueEnum;
use v6kit_crawl::{Deadlines, ErrorBudget, OnLimit, RobotsPolicy};

use crate::commands::crawl::values;
use crate::failure::{Exit, Failure};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Deadlines")]
pub(crate) struct DeadlineArgs {
    /// How long a request may take in all: --timeout 10s
    ///
    /// From dialling to the last byte.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::time)]
    timeout: Duration,
    /// How long a connection may take, TLS included
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::time, hide_short_help = true)]
    connect_timeout: Duration,
    /// How long the first byte of an answer may take; as --timeout when not given
    #[arg(long, value_name = "TIME", value_parser = values::time, hide_short_help = true)]
    first_byte_timeout: Option<Duration>,
    /// How long an answer may pause
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = values::time, hide_short_help = true)]
    idle_timeout: Duration,
    /// How long requests under way may take to come in after the first Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::time, hide_short_help = true)]
    pub(crate) grace: Duration,
    /// Attempts beyond the first, where that may help: --retries 5
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) retries: u32,
}

impl DeadlineArgs {
    /// The deadlines of a request.
    pub(crate) fn resolve(&self) -> Deadlines {
        Deadlines {
            total: self.timeout,
            connect: self.connect_timeout,
            first_byte: self.first_byte_timeout.unwrap_or(self.timeout),
            idle: self.idle_timeout,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Terms of the site")]
pub(crate) struct TermsArgs {
    /// On 429 and 503, which say "too often": --on-limit slow, rotate or stop
    ///
    /// Ask the site less often, go on from another address, or end the crawl.
    #[arg(long, value_name = "HOW", default_value = "slow", hide_possible_values = true)]
    on_limit: OnLimitChoice,
    /// Pause when more than this part of the last attempts failed, probe, and stop when probes fail too
    #[arg(long, value_name = "PERCENT", default_value = "20%", value_parser = values::percent, hide_short_help = true)]
    max_error_rate: f64,
    /// The pause before the first probe; twice as long before each further one; 1s at most where nothing was answered
    /// well yet
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::time, hide_short_help = true)]
    probe_pause: Duration,
    /// How long nothing may be reached from this host before the crawl ends with exit code 75, to be resumed
    ///
    /// Until then items wait, and no attempt of theirs is used up.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = values::time, hide_short_help = true)]
    pub(crate) max_outage: Duration,
    /// Whether to obey robots.txt
    #[arg(long, value_name = "POLICY", default_value = "obey", hide_short_help = true)]
    robots: RobotsChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnLimitChoice {
    Slow,
    Rotate,
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RobotsChoice {
    Obey,
    Ignore,
}

/// What a site may ask for, and what is done when it refuses.
pub(crate) struct Terms {
    pub(crate) on_limit: OnLimit,
    pub(crate) error_budget: Option<ErrorBudget>,
    pub(crate) robots: RobotsPolicy,
}

impl TermsArgs {
    /// `--on-limit rotate` needs a prefix, and hosts that may see more than one address of it.
    pub(crate) fn resolve(&self, has_prefix: bool, is_per_host: bool) -> Result<Terms, Failure> {
        Ok(Terms {
            on_limit: on_limit(self.on_limit, has_prefix, is_per_host)?,
            // 100 % cannot be exceeded.
            error_budget: (self.max_error_rate < 1.0).then_some(ErrorBudget {
                share: self.max_error_rate,
                pause: self.probe_pause,
            }),
            robots: match self.robots {
                RobotsChoice::Obey => RobotsPolicy::Obey,
                RobotsChoice::Ignore => RobotsPolicy::Ignore,
            },
        })
    }
}

fn on_limit(choice: OnLimitChoice, has_prefix: bool, is_per_host: bool) -> Result<OnLimit, Failure> {
    match choice {
        OnLimitChoice::Rotate if is_per_host => {
            Err(Failure::new(Exit::Usage, "there is nothing to rotate through")
                .why("--on-limit rotate goes on from other addresses, and with --per host a host sees one and no other")
                .hint("leave one of the two out"))
        }
        OnLimitChoice::Slow => Ok(OnLimit::Slow),
        OnLimitChoice::Stop => Ok(OnLimit::Stop),
        OnLimitChoice::Rotate if has_prefix => Ok(OnLimit::Rotate),
        OnLimitChoice::Rotate => Err(Failure::new(Exit::Usage, "there is nothing to rotate through")
            .why("--on-limit rotate goes on from other addresses, and there is no prefix to draw them from")
            .hint("give --prefix, or set one up first: `v6kit help setup`")),
    }
}
