//! Scans of the sockets of this host, beside the answering.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use v6kit_net::Prefix;

use crate::inventory::{Inventory, Sockets};

/// A scan may take a fifth of the time.
const REST_PER_SCAN: u32 = 4;
const SHORTEST_REST: Duration = Duration::from_millis(2);

/// What is to be done about scans.
pub(crate) enum ScanStep {
    /// It is time for one.
    Due,
    /// One has ended.
    Found(io::Result<Sockets>),
}

/// Scans the sockets, one scan at a time, beside the answering, and not all the time.
pub(crate) struct SocketScan {
    inventory: Option<Inventory>,
    running: Option<JoinHandle<(Inventory, io::Result<Sockets>)>>,
    /// When the last scan began.
    pub(crate) started: Instant,
    not_before: Instant,
}

impl SocketScan {
    pub(crate) fn open(prefix: Prefix) -> io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            inventory: Some(Inventory::open(prefix)?),
            running: None,
            started: now,
            not_before: now,
        })
    }

    pub(crate) fn take_now(&mut self) -> io::Result<Sockets> {
        match &mut self.inventory {
            Some(inventory) => inventory.take(),
            None => Ok(Sockets::default()),
        }
    }

    pub(crate) fn start(&mut self) {
        if let Some(mut inventory) = self.inventory.take() {
            self.started = Instant::now();
            self.running = Some(tokio::task::spawn_blocking(move || {
                let found = inventory.take();
                (inventory, found)
            }));
        }
    }

    /// Waits for a running scan to end, or for the time of the next one where one is `wanted`.
    pub(crate) async fn next(&mut self, wanted: bool) -> ScanStep {
        let Some(running) = &mut self.running else {
            if wanted {
                sleep_until(self.not_before).await;
                return ScanStep::Due;
            }
            return pending().await;
        };
        let ended = running.await;
        self.running = None;
        let took = self.started.elapsed();
        self.not_before = Instant::now() + (took * REST_PER_SCAN).max(SHORTEST_REST);
        match ended {
            Ok((inventory, found)) => {
                self.inventory = Some(inventory);
                ScanStep::Found(found)
            }
            Err(error) => ScanStep::Found(Err(io::Error::other(error))),
        }
    }
}
