//! The proxy as its caller sees it: started, told to reload, drained and stopped.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use v6kit_metrics::MetricsListener;
use v6kit_net::RateLimit;

use crate::auth::{Access, Accounts, Authenticator, Password};
use crate::egress::source::Bounds;
use crate::report::access_log::{self, LogSender};
use crate::report::metrics::{Metrics, Tally};
use crate::serve::error::StartError;
use crate::serve::listen::{self, Address, Bound};
use crate::serve::{self, Common, Threads};
use crate::session::admission::Capacity;
use crate::session::worker::Phase;
use crate::settings::Settings;

/// How far a connection that is late may be made up for: a burst of so much.
const SLACK: Duration = Duration::from_millis(20);

/// A proxy whose listeners are open.
#[derive(Debug)]
pub struct Proxy {
    settings: Settings,
    bound: Vec<Bound>,
    metrics: Option<MetricsListener>,
}

impl Proxy {
    /// Opens the listeners.
    ///
    /// # Errors
    /// [`StartError::Listen`].
    pub async fn bind(mut settings: Settings) -> Result<Self, StartError> {
        let listen = std::mem::take(&mut settings.listen);
        let bound = listen
            .into_iter()
            .map(|listen| {
                let address = listen::wanted(&listen);
                listen::bind(listen, settings.threads, settings.idle_timeout)
                    .map_err(|source| StartError::Listen { address, source })
            })
            .collect::<Result<_, _>>()?;
        let metrics = match settings.metrics {
            Some(address) => {
                Some(
                    MetricsListener::bind(address)
                        .await
                        .map_err(|source| StartError::Listen {
                            address: address.to_string(),
                            source,
                        })?,
                )
            }
            None => None,
        };
        Ok(Self {
            settings,
            bound,
            metrics,
        })
    }

    /// Where clients connect.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.bound.iter().map(|bound| &bound.address)
    }

    /// Where metrics are served.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(MetricsListener::address)
    }

    /// Starts the threads. To be called within a tokio runtime, which serves the metrics.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(self) -> Result<Running, StartError> {
        let Self {
            mut settings,
            bound,
            metrics,
        } = self;
        let accounts = Arc::new(Accounts::new(settings.limits));
        let access = std::mem::replace(&mut settings.access, Access::Open);
        let authenticator = new_authenticator(access, &accounts)?;
        let (authenticator, authenticators) = watch::channel(authenticator);
        let (phase, phases) = watch::channel(Phase::Serving);
        let (log, log_thread) = match settings.access_log.take() {
            Some(target) => {
                let (log, thread) = access_log::start(target).map_err(StartError::Log)?;
                (Some(log), Some(thread))
            }
            None => (None, None),
        };
        let capacity = Capacity {
            open: Arc::new(AtomicUsize::new(0)),
            limit: settings.max_connections,
        };
        let tallies: Arc<[Arc<Tally>]> = (0..settings.threads).map(|_| Arc::default()).collect();
        let counters = Metrics {
            tallies: Arc::clone(&tallies),
            open: Arc::clone(&capacity.open),
        };
        let (pulse, pulses) = watch::channel(0);
        let connects = Arc::new(RateLimit::even(settings.connect_rate, SLACK, Instant::now()));
        let common = Common {
            bounds: settings.addresses.map(Bounds::new),
            turns: Arc::default(),
            settings,
            authenticators,
            phases,
            pulses,
            log: log.clone(),
            capacity,
            last_net64: Arc::default(),
            connects,
        };
        let unix_paths = bound.iter().filter_map(|bound| match &bound.address {
            Address::Unix(path) => Some(path.clone()),
            Address::Tcp { .. } => None,
        });
        let unix_paths = unix_paths.collect();
        let threads = serve::start(&common, bound, &tallies)?;
        let page = counters.clone();
        let metrics = metrics.map(|listener| tokio::spawn(listener.serve(move || page.render())));
        Ok(Running {
            authenticator,
            accounts,
            phase,
            pulse,
            counters,
            log,
            log_thread,
            threads,
            metrics,
            unix_paths,
        })
    }
}

fn new_authenticator(access: Access, accounts: &Arc<Accounts>) -> Result<Arc<Authenticator>, StartError> {
    Authenticator::new(access, Arc::clone(accounts))
        .map(Arc::new)
        .map_err(|ring::error::Unspecified| StartError::Random)
}

/// A proxy at work.
#[derive(Debug)]
pub struct Running {
    authenticator: watch::Sender<Arc<Authenticator>>,
    accounts: Arc<Accounts>,
    phase: watch::Sender<Phase>,
    pulse: watch::Sender<u64>,
    counters: Metrics,
    log: Option<LogSender>,
    log_thread: Option<JoinHandle<()>>,
    threads: Threads,
    metrics: Option<tokio::task::JoinHandle<()>>,
    unix_paths: Vec<std::path::PathBuf>,
}

impl Running {
    /// Puts new users in force for everything that starts from now on.
    ///
    /// # Errors
    /// [`StartError::Random`].
    pub fn reload_users(&self, users: HashMap<String, Password>) -> Result<(), StartError> {
        let authenticator = new_authenticator(Access::Users(users), &self.accounts)?;
        self.authenticator.send_replace(authenticator);
        Ok(())
    }

    /// Opens the access log anew, after it was renamed.
    pub fn reopen_log(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// Client connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.counters.open.load(Ordering::Relaxed)
    }

    /// Asks every thread for a sign of life, and tells whether all gave the one that was asked for last.
    pub fn pulse(&self) -> bool {
        let asked = *self.pulse.borrow();
        let alive = self.counters.tallies.iter().all(|tally| tally.pulse() == asked);
        self.pulse.send_replace(asked + 1);
        alive
    }

    /// Accepts nothing more. What runs may finish.
    pub fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
    }

    /// Ends what is left.
    pub fn stop(&self) {
        self.phase.send_replace(Phase::Stopped);
    }

    /// Waits for all threads to end. Can be cancelled and called again.
    pub async fn ended(&mut self) {
        // Nothing is ever sent.
        let _ = self.threads.all_ended.recv().await;
    }

    /// Tidies up after [`Running::ended`]: the log is complete afterwards.
    ///
    /// # Errors
    /// What made a thread end early.
    pub fn finish(self) -> Result<(), StartError> {
        let mut result = Ok(());
        for thread in self.threads.handles {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => result = Err(StartError::Thread(error)),
                Err(_panic) => result = Err(StartError::Thread(io::Error::other("a thread panicked"))),
            }
        }
        if let Some(metrics) = self.metrics {
            metrics.abort();
        }
        for path in self.unix_paths {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(path);
        }
        drop(self.log);
        if let Some(thread) = self.log_thread {
            // It only ever ends by itself.
            let _ = thread.join();
        }
        result
    }
}
