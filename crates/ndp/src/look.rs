//! Looking at the sockets of this host, beside the answering.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use v6kit_net::Prefix;

use crate::inventory::{Inventory, Sockets};

/// A look may take a fifth of the time.
const REST_PER_LOOK: u32 = 4;
const SHORTEST_REST: Duration = Duration::from_millis(2);

/// What there is to do about looking.
pub(crate) enum Looking {
    /// It is time for a look.
    Due,
    /// A look has ended.
    Found(io::Result<Sockets>),
}

/// Looks at the sockets, one at a time, beside the answering, and not all the time.
pub(crate) struct Look {
    inventory: Option<Inventory>,
    running: Option<JoinHandle<(Inventory, io::Result<Sockets>)>>,
    /// When the last look began.
    pub(crate) started: Instant,
    not_before: Instant,
}

impl Look {
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

    /// Waits for a running look to end, or for the time of the next one where one is `wanted`.
    pub(crate) async fn next(&mut self, wanted: bool) -> Looking {
        let Some(running) = &mut self.running else {
            if wanted {
                sleep_until(self.not_before).await;
                return Looking::Due;
            }
            return pending().await;
        };
        let ended = running.await;
        self.running = None;
        let took = self.started.elapsed();
        self.not_before = Instant::now() + (took * REST_PER_LOOK).max(SHORTEST_REST);
        match ended {
            Ok((inventory, found)) => {
                self.inventory = Some(inventory);
                Looking::Found(found)
            }
            Err(error) => Looking::Found(Err(io::Error::other(error))),
        }
    }
}
