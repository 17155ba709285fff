//! From which addresses connections leave.

use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use v6kit_crawl::{DeliveryCheck, Sources};
use v6kit_net::Prefix;

use crate::commands::crawl::values;
use crate::commands::per::{self, Per};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Source addresses")]
pub(crate) struct SourceArgs {
    /// Send from random addresses of a prefix: --prefix 2001:db8:6::/64
    ///
    /// By default that of the last setup.
    #[arg(long, value_name = "P", value_parser = crate::shared_args::prefix)]
    prefix: Option<Prefix>,
    /// When another address is drawn: with each connection, with each host (which sees one and no other), after so many
    /// requests, or after a time such as 60s; 100 when nothing is said
    #[arg(long, value_name = "connection|host|N|TIME", value_parser = per::per, hide_short_help = true, conflicts_with_all = ["requests_per_address", "address_age"])]
    per: Option<Per>,
    /// Draw a new address after this many requests, as --per N
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u64).range(1..), hide_short_help = true)]
    requests_per_address: u64,
    /// Draw a new address after this time, such as 60s; as --per TIME, and beside --requests-per-address
    #[arg(long, value_name = "TIME", value_parser = values::time, hide_short_help = true)]
    address_age: Option<Duration>,
    /// Use so many addresses at a time and change them slowly, as an on-link prefix needs it; any number when
    /// not given, 300 where `v6kit ndp` answers for the prefix
    #[arg(long, value_name = "N", value_parser = values::addresses, hide_short_help = true)]
    addresses: Option<NonZeroUsize>,
}

impl SourceArgs {
    /// Whether a host sees one address and no other.
    pub(crate) fn is_per_host(&self) -> bool {
        self.per == Some(Per::Host)
    }

    /// Where the addresses come from: the prefix that was given, or that of the last setup, which is said. `None`:
    /// from the host's own address, which is said too.
    pub(crate) async fn resolve(
        self,
        seed: u64,
        state_dir: &Path,
        printer: &Printer,
    ) -> Result<Option<Sources>, Failure> {
        let Some(prefix) = prefix_or_last(self.prefix, state_dir, printer)? else {
            return Ok(None);
        };
        let (requests_per_address, address_age) = match self.per {
            None => (self.requests_per_address, self.address_age),
            Some(Per::Connection | Per::Host) => (u64::MAX, None),
            Some(Per::Requests(requests)) => (requests.get(), None),
            Some(Per::Time(age)) => (u64::MAX, Some(age)),
        };
        Ok(Some(Sources {
            prefix,
            excluded: excluded(prefix).await?,
            seed,
            per_host: self.is_per_host().then_some(seed),
            requests_per_address,
            address_age,
            addresses: crate::commands::sources::addresses(self.addresses, Some(prefix), printer),
        }))
    }
}

/// How a crawl looks whether `prefix` is delivered to this host.
pub(in crate::commands::crawl) fn delivery(prefix: Prefix) -> DeliveryCheck {
    DeliveryCheck::new(prefix, move || {
        Box::pin(async move {
            let seen = v6kit_host::is_delivered(prefix).await;
            seen.inspect_err(|error| tracing::debug!("no look at the routes: {error}"))
                .ok()
        })
    })
}

/// The prefix that was given, or that of the last setup.
fn prefix_or_last(
    prefix: Option<Prefix>,
    state_dir: &Path,
    printer: &Printer,
) -> Result<Option<Prefix>, Failure> {
    if prefix.is_some() {
        return Ok(prefix);
    }
    let summary = v6kit_host::Summary::read(state_dir).map_err(|error| {
        Failure::because(Exit::Failed, "the prefix of the last setup is not known", &error)
    })?;
    let last = summary
        .as_ref()
        .and_then(v6kit_host::Summary::latest)
        .map(|setup| setup.prefix);
    match last {
        Some(prefix) => printer.note(format!("sending from {prefix}, the prefix of the last setup")),
        None => printer.note("no prefix is set up and none was given: sending from this host's own address"),
    }
    Ok(last)
}

/// The addresses of `prefix` that belong to somebody. A single address is meant, whoever holds it.
async fn excluded(prefix: Prefix) -> Result<Vec<Ipv6Addr>, Failure> {
    if prefix.length() == 128 {
        return Ok(Vec::new());
    }
    v6kit_host::reserved_addresses()
        .await
        .map_err(|error| Failure::because(Exit::Failed, "this host's own addresses are not known", &error))
}
