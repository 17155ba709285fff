//! A connection for a request: one that waits, one that somebody else makes, or a new one.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use v6kit_model::{ErrorKind, Fault};

use super::context::Attempt;
use super::{Choice, Slot};
use crate::connect::connection::{Connection, Opened};
use crate::engine::job::Settings;
use crate::engine::shard::Shard;
use crate::site::Site;
use crate::site::dialling::{self, Trace, WantedSource};

/// How long a slot waits when this host lacks descriptors or memory, and how many idle connections it closes.
const WANT: Duration = Duration::from_millis(200);
const CLOSED_IN_WANT: usize = 8;

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
            Some(connection) => self.judged(shard, site, connection),
            // Rare, and large: most of the time its room is better not held.
            None => Box::pin(self.new_connection(shard, site, attempt)).await,
        }
    }

    /// `connection`, which was made for another item, where this one may use it.
    fn judged(&self, shard: &Shard, site: &Site, connection: Connection) -> Result<Connection, Fault> {
        let judged = connection
            .peer()
            .map_or(Ok(()), |peer| self.bounds(shard, site).judge(site, peer));
        match judged {
            Ok(()) => Ok(connection),
            Err(fault) => {
                shard.keep(site, connection);
                Err(fault)
            }
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
                    Some(connection) => break self.judged(shard, site, connection)?,
                    None => continue,
                }
            }
            match self.dial(shard, site, WantedSource::Any, attempt).await? {
                Some(connection) => break connection,
                None => continue,
            }
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
            return self.judged(shard, site, connection);
        }
        loop {
            let wanted = WantedSource::Only(from);
            if let Some(connection) = self.dial(shard, site, wanted, attempt).await? {
                self.timer.postpone();
                return Ok(connection);
            }
        }
    }

    /// A connection that was just made, or `None` after a pause where this host lacked what one takes. That is no
    /// failure of the item, whose time begins again.
    ///
    /// # Errors
    /// Of [`ErrorKind::Resources`] only where the crawl is being stopped.
    async fn dial(
        &mut self,
        shard: &Shard,
        site: &Site,
        wanted: WantedSource,
        attempt: &mut Attempt,
    ) -> Result<Option<Connection>, Fault> {
        if let Some(connection) = self.turn(shard, site, wanted, attempt).await? {
            return self.judged(shard, site, connection).map(Some);
        }
        let connections = &shard.sites.connections;
        let (room, busy) = (connections.dial(), site.dialling());
        let deadline = self.timer.connect_deadline();
        let bounds = self.bounds(shard, site);
        let mut trace = Trace::default();
        let opened = dialling::connect(&shard.dialer, site, wanted, bounds, deadline, &mut trace).await;
        attempt.from = trace.from.or(attempt.from);
        attempt.timing = trace.timing;
        if trace.waited > Duration::ZERO {
            attempt.began += trace.waited;
            self.timer.extend(trace.waited);
        }
        let fault = match opened {
            Err(fault) if fault.kind == ErrorKind::Resources => fault,
            opened => {
                site.learn(opened.as_ref().map_err(|_fault| ()));
                return opened.map(|opened| Some(counted(shard, opened)));
            }
        };
        // Whoever waits for this connection looks for itself.
        drop((room, busy));
        for _ in 0..CLOSED_IN_WANT {
            connections.close_oldest();
        }
        site.destination().tell_want(&fault, Instant::now());
        let pause = shard
            .stop
            .drain
            .run_until_cancelled(tokio::time::sleep(WANT))
            .await;
        if pause.is_none() {
            return Err(fault);
        }
        self.begin_anew(attempt);
        Ok(None)
    }

    /// Waits until a connection may be begun (`--connect-rate`), which takes none of the item's time, unless one is
    /// free before.
    ///
    /// # Errors
    /// Of [`ErrorKind::Resources`]: the crawl is being stopped.
    async fn turn(
        &mut self,
        shard: &Shard,
        site: &Site,
        wanted: WantedSource,
        attempt: &mut Attempt,
    ) -> Result<Option<Connection>, Fault> {
        let connects = &shard.dialer.connects;
        if connects.is_unlimited() {
            return Ok(None);
        }
        let idle = || match wanted {
            WantedSource::Any => {
                let streams = shard.settings.streams;
                site.take_idle(streams, &shard.lease_limits, Instant::now(), false)
            }
            WantedSource::Only(_) => None,
        };
        let waiting = async {
            let mut queue = std::pin::pin!(connects.queue());
            let turn = loop {
                tokio::select! {
                    turn = &mut queue => break turn,
                    () = site.wait_for_idle() => {
                        if let Some(connection) = idle() {
                            return Some(Some(connection));
                        }
                    }
                }
            };
            match idle() {
                Some(connection) => Some(Some(connection)),
                None => turn.wait().await.map(|()| None),
            }
        };
        let waited = shard.stop.drain.run_until_cancelled(waiting).await.flatten();
        let Some(taken) = waited else {
            let why = "the crawl was stopped before another connection might be begun";
            return Err(Fault::new(ErrorKind::Resources, why));
        };
        self.begin_anew(attempt);
        Ok(taken)
    }

    /// What passed until now was no time of the item.
    fn begin_anew(&mut self, attempt: &mut Attempt) {
        attempt.began = Instant::now();
        self.timer.start(attempt.began);
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
