//! Threads that accept, and how they are started, told to reload, drained and stopped.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread::JoinHandle;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::LocalOptions;
use tokio::sync::{Semaphore, mpsc, watch};
use v6kit_metrics::MetricsListener;
use v6kit_net::{Code, Hint, PoolError, SourcePool};

use crate::access_log::{self, LogSender};
use crate::auth::{Access, Accounts, Gate, Password};
use crate::egress::Egress;
use crate::http::Upstreams;
use crate::listen::{self, Address, Bound, Listener};
use crate::lookup::Names;
use crate::metrics::{Metrics, Tally};
use crate::policy::Policy;
use crate::session::{self, Admitted};
use crate::settings::Settings;
use crate::source::{Bounds, SessionKey, Sources};
use crate::worker::{Admission, Phase, Room, Worker};

/// getaddrinfo(3) and password hashes of one thread at a time.
const BLOCKING_THREADS: usize = 64;
const HASHES_AT_A_TIME: usize = 2;
/// How long accepting rests when there is no descriptor for the next connection.
const REST: Duration = Duration::from_millis(50);
/// How often connections to origin servers are looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// Why the proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener cannot be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The prefix has nothing to send from.
    #[error("cannot send from the prefix")]
    Pool(#[from] PoolError),
    /// The access log cannot be opened.
    #[error("cannot write the access log")]
    Log(#[source] io::Error),
    /// A thread or a runtime cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Random,
}

impl Hint for StartError {
    fn code(&self) -> Code {
        match self {
            Self::Listen { .. } => Code::Listen,
            Self::Pool(error) => error.code(),
            Self::Log(_) => Code::Output,
            Self::Thread(_) => Code::Thread,
            Self::Random => Code::Random,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                "another program listens there: choose another --listen, or end it".to_owned()
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE: choose another --listen".to_owned()
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrNotAvailable => {
                "the address is not one of this host: see `ip address`".to_owned()
            }
            Self::Pool(error) => return error.hint(),
            Self::Log(_) => "check the path of --access-log and its permissions".to_owned(),
            Self::Listen { .. } | Self::Thread(_) | Self::Random => return None,
        })
    }
}

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
        let gate = new_gate(access, &accounts)?;
        let (gate, gates) = watch::channel(gate);
        let (phase, phases) = watch::channel(Phase::Serving);
        let (log, log_thread) = match settings.access_log.take() {
            Some(target) => {
                let (log, thread) = access_log::start(target).map_err(StartError::Log)?;
                (Some(log), Some(thread))
            }
            None => (None, None),
        };
        let room = Room {
            open: Arc::new(AtomicUsize::new(0)),
            limit: settings.max_connections,
        };
        let tallies: Arc<[Arc<Tally>]> = (0..settings.threads).map(|_| Arc::default()).collect();
        let metrics_page = Metrics {
            tallies: Arc::clone(&tallies),
            open: Arc::clone(&room.open),
        };
        let common = Common {
            bounds: settings.addresses.map(Bounds::new),
            settings,
            gates,
            phases,
            log: log.clone(),
            room,
            last_net64: Arc::default(),
        };
        let unix_paths = bound.iter().filter_map(|bound| match &bound.address {
            Address::Unix(path) => Some(path.clone()),
            Address::Tcp { .. } => None,
        });
        let unix_paths = unix_paths.collect();
        let threads = start_threads(common, bound, &tallies)?;
        let metrics = metrics.map(|listener| tokio::spawn(listener.serve(move || metrics_page.render())));
        Ok(Running {
            gate,
            accounts,
            phase,
            log,
            log_thread,
            threads,
            metrics,
            unix_paths,
        })
    }
}

/// Random bytes from the system.
fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|ring::error::Unspecified| StartError::Random)?;
    Ok(bytes)
}

impl SessionKey {
    /// A new key. Sessions have other addresses under it.
    ///
    /// # Errors
    /// [`StartError::Random`].
    pub fn random() -> Result<Self, StartError> {
        random().map(Self::new)
    }
}

fn new_gate(access: Access, accounts: &Arc<Accounts>) -> Result<Arc<Gate>, StartError> {
    Gate::new(access, Arc::clone(accounts))
        .map(Arc::new)
        .map_err(|ring::error::Unspecified| StartError::Random)
}

/// What every thread is given.
struct Common {
    settings: Settings,
    gates: watch::Receiver<Arc<Gate>>,
    phases: watch::Receiver<Phase>,
    log: Option<LogSender>,
    room: Room,
    last_net64: Arc<AtomicU64>,
    bounds: Option<Bounds>,
}

impl Common {
    fn worker(&self, pool: Option<SourcePool>, tally: &Arc<Tally>) -> WorkerParts {
        let settings = &self.settings;
        let (prefix, allowed) = (settings.prefix, settings.allowed_destinations.clone());
        let (key, v4, timeout) = (settings.session_key, settings.v4, settings.connect_timeout);
        let (gate, phase) = (self.gates.clone(), self.phases.clone());
        let (pin, idle_timeout) = (settings.pin, settings.idle_timeout);
        let (handshake_timeout, room) = (settings.handshake_timeout, self.room.clone());
        let (log, tally) = (self.log.clone(), Arc::clone(tally));
        let (last_net64, bounds) = (Arc::clone(&self.last_net64), self.bounds.clone());
        // What a thread does not share is made on that thread.
        Box::new(move || Worker {
            egress: Egress {
                sources: pool.map(|pool| Sources::new(pool, key, last_net64, bounds)),
                policy: Policy::new(prefix, allowed),
                v4,
                timeout,
                names: Names::default(),
                warned: RefCell::default(),
            },
            gate,
            phase,
            pin,
            handshake_timeout,
            idle_timeout,
            upstreams: Upstreams::default(),
            tally,
            log,
            hashing: Semaphore::new(HASHES_AT_A_TIME),
            room,
        })
    }
}

type WorkerParts = Box<dyn FnOnce() -> Worker + Send>;

fn start_threads(common: Common, bound: Vec<Bound>, tallies: &[Arc<Tally>]) -> Result<Threads, StartError> {
    let settings = &common.settings;
    let seed = u64::from_ne_bytes(random()?);
    let pools: Vec<Option<SourcePool>> = match settings.prefix {
        Some(prefix) => SourcePool::new(prefix, seed, settings.excluded.iter().copied())?
            .split(settings.threads)
            .into_iter()
            .map(Some)
            .collect(),
        None => vec![None; settings.threads],
    };
    let mut sockets = sockets_by_thread(bound, settings.threads);
    let (ended, all_ended) = mpsc::channel(1);
    let mut handles = Vec::new();
    for (index, (pool, tally)) in pools.into_iter().zip(tallies).enumerate() {
        let worker = common.worker(pool, tally);
        let sockets = sockets.pop().unwrap_or_default();
        let ended = ended.clone();
        let handle = std::thread::Builder::new()
            .name(format!("proxy-{index}"))
            .spawn(move || {
                let result = run_thread(worker, sockets);
                drop(ended);
                result
            })
            .map_err(StartError::Thread)?;
        handles.push(handle);
    }
    Ok(Threads { handles, all_ended })
}

#[derive(Debug)]
struct Threads {
    handles: Vec<JoinHandle<io::Result<()>>>,
    /// Closed when the last thread is done.
    all_ended: mpsc::Receiver<Infallible>,
}

/// One socket of a listener.
struct ThreadSocket {
    socket: OwnedFd,
    address: Address,
    tls: Option<Arc<rustls::ServerConfig>>,
}

fn sockets_by_thread(bound: Vec<Bound>, threads: usize) -> Vec<Vec<ThreadSocket>> {
    let mut by_thread: Vec<Vec<ThreadSocket>> = (0..threads).map(|_| Vec::new()).collect();
    for Bound {
        address,
        sockets,
        tls,
    } in bound
    {
        for (thread, socket) in by_thread.iter_mut().zip(sockets) {
            thread.push(ThreadSocket {
                socket,
                address: address.clone(),
                tls: tls.clone(),
            });
        }
    }
    by_thread
}

fn run_thread(worker: WorkerParts, sockets: Vec<ThreadSocket>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let worker = Rc::new(worker());
        let sessions = Rc::new(Sessions::default());
        for ThreadSocket { socket, address, tls } in sockets {
            let listener = Listener::new(socket, &address, tls)?;
            tokio::task::spawn_local(accept(Rc::clone(&worker), Rc::clone(&sessions), listener));
        }
        tokio::task::spawn_local(sweep(Rc::clone(&worker)));
        worker.draining().await;
        let mut phase = worker.phase.clone();
        tokio::select! {
            () = sessions.all_ended() => {}
            _ = phase.wait_for(|phase| *phase == Phase::Stopped) => {}
        }
        Ok(())
    })
    // Dropping the runtime drops the sessions that are left, whose visits are logged as cut.
}

/// How many sessions a thread has.
#[derive(Debug, Default)]
struct Sessions {
    running: std::cell::Cell<usize>,
    changed: tokio::sync::Notify,
}

impl Sessions {
    fn begin(self: &Rc<Self>) -> SessionGuard {
        self.running.set(self.running.get() + 1);
        SessionGuard(Rc::clone(self))
    }

    async fn all_ended(&self) {
        while self.running.get() > 0 {
            self.changed.notified().await;
        }
    }
}

struct SessionGuard(Rc<Sessions>);

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        if self.0.running.get() == 0 {
            self.0.changed.notify_one();
        }
    }
}

/// Accepts until the proxy drains.
async fn accept(worker: Rc<Worker>, sessions: Rc<Sessions>, listener: Listener) {
    // While this runs the thread has not finished: what waits in the queue is accepted first.
    let _accepting = sessions.begin();
    let mut draining = std::pin::pin!(worker.draining());
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = draining.as_mut() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_client(&error) => continue,
            Err(error) => {
                worker.tally.accept_error();
                tracing::warn!("a connection cannot be accepted: {error}");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let (admitted, place) = match worker.room.admit() {
            Admission::Served(place) => (Admitted::Served, place),
            Admission::Turned(place) => (Admitted::TurnedAway, place),
            Admission::Dropped => continue,
        };
        let session = session::serve(
            Rc::clone(&worker),
            stream,
            peer,
            listener.tls.clone(),
            admitted,
            place,
        );
        let guard = sessions.begin();
        tokio::task::spawn_local(async move {
            session.await;
            drop(guard);
        });
    }
}

/// Whether accept(2) failed because of the connection it would have returned.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

async fn sweep(worker: Rc<Worker>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = ticks.tick() => worker.upstreams.sweep(),
            () = worker.draining() => return worker.upstreams.clear(),
        }
    }
}

/// A proxy at work.
#[derive(Debug)]
pub struct Running {
    gate: watch::Sender<Arc<Gate>>,
    accounts: Arc<Accounts>,
    phase: watch::Sender<Phase>,
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
        let gate = new_gate(Access::Users(users), &self.accounts)?;
        self.gate.send_replace(gate);
        Ok(())
    }

    /// Opens the access log anew, after it was renamed.
    pub fn reopen_log(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
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
