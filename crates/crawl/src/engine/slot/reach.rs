//! Where redirects may lead.

use std::net::Ipv6Addr;
use std::time::Instant;

use v6kit_model::Fault;

use super::Slot;
use crate::connect::connection::Connection;
use crate::engine::shard::Shard;
use crate::site::Site;
use crate::site::dialling::addresses;
use crate::site::reach::Bounds;

/// Who says where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The job.
    Named,
    /// An answer from this address, or from behind a proxy.
    LedFrom(Option<Ipv6Addr>),
}

impl Slot {
    /// Which addresses of `site` a request may be sent to.
    pub(super) fn bounds<'a>(&self, shard: &'a Shard, site: &Site) -> Bounds<'a> {
        match self.reach {
            Reach::LedFrom(named) if !site.named.get() => Bounds::Public {
                named,
                pins: &shard.settings.resolve,
            },
            Reach::Named | Reach::LedFrom(_) => Bounds::None,
        }
    }

    /// From now on an answer on `connection` says where to go, unless one did before.
    pub(super) fn be_led_from(&mut self, connection: &Connection) {
        if self.reach == Reach::Named {
            self.reach = Reach::LedFrom(connection.peer());
        }
    }

    /// Looks whether there is any address that `site` may be asked at, before anybody is asked. What is dialled in the
    /// end is looked at once more.
    ///
    /// # Errors
    /// [`v6kit_model::ErrorKind::Redirect`] where there is none.
    pub(super) async fn require_reach(&self, shard: &Shard, site: &Site) -> Result<(), Fault> {
        let bounds = self.bounds(shard, site);
        if matches!(bounds, Bounds::None) {
            return Ok(());
        }
        bounds.judge_host(site)?;
        if site.destination().proxy().is_some() {
            return Ok(());
        }
        let deadline = Instant::now() + shard.settings.deadlines.connect;
        match addresses(site, deadline).await {
            Ok(found) => bounds.within(site, &found).map(drop),
            // Whoever dials tells it.
            Err(_) => Ok(()),
        }
    }
}
