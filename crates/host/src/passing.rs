//! What may keep that which passes this host from being translated, as it is now.

use crate::error::HostError;
use crate::facts::on_link;
use crate::netlink::{Link, Route};
use crate::nft::{self, RotationRules};
use crate::plan::comes_first;
use crate::system::{ResourceError, System};

/// The rules of others and the subnets of this host.
#[derive(Debug)]
pub(crate) struct Passing {
    /// Chains of others that translate before ours.
    translators: Vec<String>,
    /// Chains of others that drop what no rule of theirs accepts.
    closed_ways: Vec<String>,
    /// Routes to what is reached without a router.
    on_link: Vec<Route>,
}

impl Passing {
    pub(crate) async fn read(system: &System) -> Result<Self, HostError> {
        let rules = nft::ruleset_without_elements().map_err(ResourceError::from)?;
        Ok(Self {
            translators: rules.translators,
            closed_ways: rules.closed_ways,
            on_link: system.netlink.routes(Route::is_on_link).await?,
        })
    }

    /// What keeps connections from being translated, and what is translated though it need not be.
    pub(crate) fn fault(&self, rules: &RotationRules, links: &[Link]) -> Option<String> {
        let mut faults = Vec::new();
        if !self.translators.is_empty() {
            faults.push(comes_first(&self.translators));
        }
        let link = links.iter().find(|link| link.name == rules.device);
        let known = on_link(&self.on_link, link.map(|link| link.index));
        let unknown = known.iter().filter(|net| !rules.on_link.contains(net));
        faults.extend(
            unknown.map(|net| format!("{net} is on the link of {} now and not left out", rules.device)),
        );
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    /// What cannot be told without trying.
    pub(crate) fn remarks(&self) -> impl Iterator<Item = String> + '_ {
        self.closed_ways.iter().map(|chain| {
            format!(
                "the chain {chain} drops what passes this host unless a rule of it accepts that: `sudo nft list chain {chain}`"
            )
        })
    }
}
