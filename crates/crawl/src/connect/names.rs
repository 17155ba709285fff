//! Names of destinations: looked up on a thread of their own, kept for as long as their records say, and
//! renewed while the old addresses still serve.

mod lookup;
mod pin;

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::watch;
use v6kit_net::ResolveError;

pub use self::pin::{Pin, PinError};

/// How long a name that was not found, or not in time, is not asked for again.
const FAILED: Duration = Duration::from_secs(5);

/// The same where this host lacked what asking takes.
const WANT: Duration = Duration::from_millis(500);

/// How long addresses that could not be renewed serve on before the next attempt.
const STALE: Duration = Duration::from_secs(30);

/// What a shard needs to find destinations.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pins: Vec<Pin>,
    /// To the thread that asks, which ends with its sender.
    queue: Mutex<Option<UnboundedSender<Arc<Name>>>>,
}

/// A name with a port.
#[derive(Debug)]
pub(crate) struct Name {
    host: String,
    port: u16,
    known: watch::Sender<Known>,
    /// Whether somebody is asking for it.
    asked: AtomicBool,
    /// Since when.
    began: Mutex<Option<Instant>>,
    /// How long it took where nothing was known before, in microseconds, until that is told; 0 for nothing to tell.
    took: AtomicU64,
}

/// What is known about a name.
#[derive(Debug, Clone)]
enum Known {
    Nothing,
    Addresses {
        all: Arc<[SocketAddrV6]>,
        /// `None` where nothing can change it.
        until: Option<Instant>,
    },
    Failure {
        error: Arc<ResolveError>,
        until: Instant,
    },
}

/// What can be said about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// It has addresses.
    Found,
    /// It was asked for in vain not long ago.
    Failed,
    /// It is being asked for.
    Pending,
}

/// What came of asking for a name.
#[derive(Debug)]
enum Found {
    Addresses {
        all: Vec<Ipv6Addr>,
        until: Instant,
    },
    /// Whoever is responsible for the name says that there are none.
    None(ResolveError),
    /// Nobody said anything of use.
    Unknown(ResolveError),
}

impl Names {
    /// Names of which `pins` say where they are.
    pub(crate) fn new(pins: Vec<Pin>) -> Self {
        Self {
            pins,
            queue: Mutex::default(),
        }
    }

    /// A name, or an IPv6 literal without brackets, which is its own address.
    pub(crate) fn name(&self, host: &str, port: u16) -> Arc<Name> {
        let pinned = self.pins.iter().find(|pin| pin.is_for(host, port));
        let fixed = match (pinned, host.parse::<Ipv6Addr>()) {
            (Some(pin), _) => Some(pin.addresses().to_vec()),
            (None, Ok(address)) => Some(vec![address]),
            (None, Err(_)) => None,
        };
        let known = fixed.map_or(Known::Nothing, |addresses| Known::Addresses {
            all: with_port(&addresses, port),
            until: None,
        });
        Arc::new(Name {
            host: host.to_owned(),
            port,
            known: watch::Sender::new(known),
            asked: AtomicBool::new(false),
            began: Mutex::default(),
            took: AtomicU64::new(0),
        })
    }

    /// The addresses of `name`: at once where some are known, even if they are being renewed.
    ///
    /// # Errors
    /// [`ResolveError`], also when `deadline` passes first.
    pub(crate) async fn addresses(
        &self,
        name: &Arc<Name>,
        deadline: Instant,
    ) -> Result<Arc<[SocketAddrV6]>, Arc<ResolveError>> {
        let mut news = name.known.subscribe();
        loop {
            let known = news.borrow_and_update().clone();
            let now = Instant::now();
            match known {
                Known::Addresses { all, until } => {
                    if until.is_some_and(|until| until <= now) {
                        self.ask(name);
                    }
                    return Ok(all);
                }
                Known::Failure { error, until } if now < until => return Err(error),
                Known::Failure { .. } | Known::Nothing => self.ask(name),
            }
            let late = || {
                Arc::new(ResolveError::TimedOut {
                    host: name.host.clone(),
                })
            };
            tokio::time::timeout_at(deadline.into(), news.changed())
                .await
                .map_err(|_elapsed| late())?
                .map_err(|_closed| late())?;
        }
    }

    /// What can be said about `name` now; where that is nothing, somebody is asking for it.
    pub(crate) fn resolution(&self, name: &Arc<Name>) -> Resolution {
        let resolution = match &*name.known.borrow() {
            Known::Addresses { .. } => Resolution::Found,
            Known::Failure { until, .. } if Instant::now() < *until => Resolution::Failed,
            Known::Failure { .. } | Known::Nothing => Resolution::Pending,
        };
        if resolution == Resolution::Pending {
            self.ask(name);
        }
        resolution
    }

    fn ask(&self, name: &Arc<Name>) {
        if name.asked.swap(true, Ordering::AcqRel) {
            return;
        }
        *name.began() = Some(Instant::now());
        if let Err(source) = self.put(name) {
            name.learn(Found::Unknown(ResolveError::Resources {
                host: name.host.clone(),
                source,
            }));
        }
    }

    /// Hands a name to the thread that asks, which is started where there is none.
    fn put(&self, name: &Arc<Name>) -> std::io::Result<()> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = &*queue
            && queue.send(Arc::clone(name)).is_ok()
        {
            return Ok(());
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        lookup::start(receiver)?;
        // Its receiver is with the thread.
        let _ = sender.send(Arc::clone(name));
        *queue = Some(sender);
        Ok(())
    }
}

impl Name {
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    fn began(&self) -> MutexGuard<'_, Option<Instant>> {
        self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it took to look the name up, where somebody had to wait for it; told once.
    pub(crate) fn take_look_up(&self) -> Option<Duration> {
        if self.took.load(Ordering::Relaxed) == 0 {
            return None;
        }
        match self.took.swap(0, Ordering::Relaxed) {
            0 => None,
            took => Some(Duration::from_micros(took)),
        }
    }

    /// Takes in what came of asking.
    fn learn(&self, found: Found) {
        let now = Instant::now();
        let began = self.began().take();
        if let Some(began) = began.filter(|_| !matches!(*self.known.borrow(), Known::Addresses { .. })) {
            let took = u64::try_from((now - began).as_micros()).unwrap_or(u64::MAX);
            self.took.store(took.max(1), Ordering::Relaxed);
        }
        self.known.send_if_modified(|known| {
            *known = match (found, &*known) {
                (Found::Addresses { all, until }, _) => Known::Addresses {
                    all: with_port(&all, self.port),
                    until: Some(until),
                },
                // What served so far is better than nothing (RFC 8767).
                (Found::Unknown(_), Known::Addresses { all, .. }) => Known::Addresses {
                    all: Arc::clone(all),
                    until: Some(now + STALE),
                },
                (Found::Unknown(error) | Found::None(error), _) => Known::Failure {
                    until: now
                        + match error {
                            ResolveError::Resources { .. } => WANT,
                            _ => FAILED,
                        },
                    error: Arc::new(error),
                },
            };
            true
        });
        self.asked.store(false, Ordering::Release);
    }
}

fn with_port(addresses: &[Ipv6Addr], port: u16) -> Arc<[SocketAddrV6]> {
    addresses
        .iter()
        .map(|&address| SocketAddrV6::new(address, port, 0, 0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    fn some() -> Vec<Ipv6Addr> {
        vec!["2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()]
    }

    fn unknown() -> Found {
        Found::Unknown(ResolveError::TimedOut { host: "h".to_owned() })
    }

    #[tokio::test]
    async fn literals_and_pinned_names_are_known_at_once() {
        let names = Names::new(vec!["h:80:[2001:db8::1],2001:db8::2".parse().unwrap()]);
        let literal = names.name("2001:db8::9", 8080);
        let found = names.addresses(&literal, soon()).await.unwrap();
        assert_eq!(*found, ["[2001:db8::9]:8080".parse().unwrap()]);
        let pinned = names.name("h", 80);
        assert_eq!(names.resolution(&pinned), Resolution::Found);
        assert_eq!(
            *names.addresses(&pinned, soon()).await.unwrap(),
            *with_port(&some(), 80)
        );
    }

    #[tokio::test]
    async fn addresses_that_cannot_be_renewed_serve_on_and_those_that_are_gone_do_not() {
        let names = Names::default();
        let name = names.name("h", 80);
        // Nobody is asked here.
        name.asked.store(true, Ordering::Release);
        let until = Instant::now();
        name.learn(Found::Addresses { all: some(), until });
        name.learn(unknown());
        assert_eq!(names.addresses(&name, soon()).await.unwrap().len(), 2);
        name.learn(Found::None(ResolveError::TimedOut { host: "h".to_owned() }));
        assert!(names.addresses(&name, soon()).await.is_err());
        assert_eq!(
            names.resolution(&name),
            Resolution::Failed,
            "it is not asked for again at once"
        );
    }

    #[tokio::test]
    async fn waiting_for_a_name_ends_at_the_deadline() {
        let names = Names::default();
        let name = names.name("h", 80);
        name.asked.store(true, Ordering::Release);
        let error = names
            .addresses(&name, Instant::now() + Duration::from_millis(20))
            .await
            .unwrap_err();
        assert!(matches!(*error, ResolveError::TimedOut { .. }));
    }
}
