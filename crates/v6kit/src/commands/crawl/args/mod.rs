//! The options of `v6kit crawl`, in groups. Each group turns what was said into settings of the engine.
//!
//! The first paragraph of an option's comment is what `-h` shows, with an example; `--help` shows all of it. Options
//! that few people need are left out of `-h`.

mod data;
mod items;
mod request;
mod site;
pub(super) mod sources;
mod speed;
mod storage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::access::AccessArgs;
use super::values;
use crate::shared_args::StateArgs;

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The job directory, made where there is none: -o items
    #[arg(short, long, value_name = "DIR", required_unless_present = "job", value_parser = values::Directory)]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) state: StateArgs,
    #[command(flatten)]
    pub(super) items: items::ItemArgs,
    #[command(flatten)]
    pub(super) sources: sources::SourceArgs,
    #[command(flatten)]
    pub(super) speed: speed::SpeedArgs,
    #[command(flatten)]
    pub(super) deadlines: site::DeadlineArgs,
    #[command(flatten)]
    pub(super) terms: site::TermsArgs,
    #[command(flatten)]
    pub(super) request: request::RequestArgs,
    #[command(flatten)]
    pub(super) access: AccessArgs,
    #[command(flatten)]
    pub(super) trust: request::TrustArgs,
    #[command(flatten)]
    pub(super) data: data::DataArgs,
    #[command(flatten)]
    pub(super) storage: storage::StorageArgs,
    #[command(flatten)]
    pub(super) report: ReportArgs,
    #[command(flatten)]
    pub(super) job_file: JobFileArgs,
}

/// What is told while it runs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Progress")]
pub(super) struct ReportArgs {
    /// How often progress is printed where there is no terminal
    #[arg(long, value_name = "TIME", value_parser = values::time, hide_short_help = true)]
    pub(super) stats_interval: Option<Duration>,
    /// Serve counters for Prometheus at http://ADDR/metrics; a port alone is on loopback
    #[arg(long, value_name = "ADDR", value_parser = super::super::metrics::address, hide_short_help = true)]
    pub(super) metrics: Option<SocketAddr>,
}

/// Options from and to a file.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Job file")]
pub(super) struct JobFileArgs {
    /// Take options from a file: --job items.toml
    ///
    /// What is given beside it wins over it. The file may be given as a URL; then it may name no files of this host.
    #[arg(long, value_name = "FILE.toml")]
    pub(super) job: Option<PathBuf>,
    /// Write these options as a job file to standard output, and crawl nothing
    #[arg(long, hide_short_help = true)]
    pub(super) print_job: bool,
}
