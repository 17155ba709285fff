//! A connection for a request: one that waits, one that somebody else makes, or a new one.

use std::net::Ipv6Addr;
use std::time::Instant;

use v6kit_model::{ErrorKind, Fault};

use super::context::Attempt;
use super::{Choice, Slot};
use crate::connect::connection::{Connection, Opened};
use crate::engine::job::Settings;
use crate::engine::shard::Shard;
use crate::site::Site;
use crate::site::dialling::{self, Departing};

impl Slot {
    /// A connection that is ready for a request.
    pub(super) async fn connection(
        &mut self,
        shard: &Shard,
        site: &Site,
        attempt: &mut Attempt,
        choice: Choice,
        can_repeat: bool,
    ) -> Result<Connection, Fault> {
        let idle = match (self.bound, choice) {
            (None, Choice::Any) => {
                let Settings { streams, .. } = *shard.settings;
                site.take_idle(streams, &shard.lease_limits, attempt.began, can_repeat)
            }
            _ => None,
        };
        match idle {
            Some(connection) => Ok(connection),
            // Rare, and large: most of the time its room is better not held.
            None => Box::pin(self.new_connection(shard, site, attempt)).await,
        }
    }

    /// A connection that was just made, or one that somebody else made or is done with.
    async fn new_connection(
        &mut self,
        shard: &Shard,
        site: &Site,
        attempt: &mut Attempt,
    ) -> Result<Connection, Fault> {
        let Settings { http, streams, .. } = *shard.settings;
        if let Some(from) = self.bound {
            return self.connection_from(from, shard, site, attempt).await;
        }
        let connection = loop {
            if !site.should_dial(http, streams) {
                tokio::time::timeout_at(self.timer.total().into(), site.wait_for_change())
                    .await
                    .map_err(|_elapsed| {
                        Fault::new(ErrorKind::ConnectTimeout, "no connection was free in time")
                    })?;
                match site.take_idle(streams, &shard.lease_limits, Instant::now(), false) {
                    Some(connection) => break connection,
                    None => continue,
                }
            }
            let dialling = site.dialling();
            let deadline = self.timer.connect_deadline();
            let opened = dialling::connect(
                &shard.dialer,
                site,
                Departing::Anywhere,
                deadline,
                &mut attempt.from,
            )
            .await;
            site.learn(opened.as_ref().map_err(|_fault| ()));
            drop(dialling);
            break counted(shard, opened?);
        };
        self.timer.postpone();
        Ok(connection)
    }

    /// A connection to `site` from `from` and nowhere else.
    async fn connection_from(
        &mut self,
        from: Ipv6Addr,
        shard: &Shard,
        site: &Site,
        attempt: &mut Attempt,
    ) -> Result<Connection, Fault> {
        if let Some(connection) = site.take_idle_from(from, shard.settings.streams, &shard.lease_limits) {
            return Ok(connection);
        }
        let dialling = site.dialling();
        let departing = Departing::From(from);
        let deadline = self.timer.connect_deadline();
        let opened = dialling::connect(&shard.dialer, site, departing, deadline, &mut attempt.from).await;
        site.learn(opened.as_ref().map_err(|_fault| ()));
        drop(dialling);
        let connection = counted(shard, opened?);
        self.timer.postpone();
        Ok(connection)
    }
}

/// A connection that was just made, and counted.
fn counted(shard: &Shard, opened: Opened) -> Connection {
    let connection = match opened {
        Opened::Exclusive(connection) => connection,
        Opened::Shared(http2) => Connection::of_stream(http2.stream()),
    };
    shard.count_source(&connection);
    connection
}
