//! What is reachable from outside on every address of a prefix.

use v6kit_net::{Exposure, InboundFilter, Prefix, chain};

use crate::facts::may_administer_network;
use crate::{listeners, nft};

/// Looks at the listening sockets and, where this process may (CAP_NET_ADMIN), at the firewall.
#[must_use]
pub fn exposure(prefix: Prefix) -> Exposure {
    Exposure {
        services: listeners::exposed(&listeners::listeners()),
        filter: filter(prefix),
    }
}

/// Whether setup's rules drop new connections to `prefix`, where this process may look.
pub(crate) fn filter(prefix: Prefix) -> InboundFilter {
    match may_administer_network() {
        Ok(true) => {}
        Ok(false) => {
            return InboundFilter::Unknown {
                why: "looking at the firewall needs CAP_NET_ADMIN".to_owned(),
            };
        }
        Err(error) => {
            return InboundFilter::Unknown {
                why: error.to_string(),
            };
        }
    }
    match nft::read() {
        Ok(table) if nft::closing_prefix(&table, prefix).is_some() => InboundFilter::Present,
        Ok(_) => InboundFilter::Missing,
        Err(error) => InboundFilter::Unknown { why: chain(&error) },
    }
}
