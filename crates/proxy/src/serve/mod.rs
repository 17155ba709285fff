//! The threads that accept and serve, and what each of them is given.

pub(crate) mod certificate;
mod connection;
pub(crate) mod error;
pub(crate) mod listen;
mod tuning;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::LocalOptions;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::Instrument;
use v6kit_net::{RateLimit, SourcePool};

use crate::auth::Authenticator;
use crate::data::protocol::Protocol;
use crate::data::refusal::Refusal;
use crate::data::stream::{ClientStream, Peer};
use crate::egress::Egress;
use crate::egress::delivery::Watch;
use crate::egress::lookup::Names;
use crate::egress::policy::Policy;
use crate::egress::source::{Bounds, Sources};
use crate::egress::turns::Turns;
use crate::http::Upstreams;
use crate::relay::keep_pipes;
use crate::report::access_log::LogSender;
use crate::report::metrics::Tally;
use crate::session::admission::{Admission, Capacity};
use crate::session::exchange::Reporter;
use crate::session::running::Running;
use crate::session::worker::{Phase, Worker};
use crate::session::{Admitted, Session};
use crate::settings::Settings;
use error::{StartError, random};
use listen::{Address, Bound, Listener};

/// getaddrinfo(3) and password hashes of one thread at a time.
const BLOCKING_THREADS: usize = 64;
const HASHES_AT_A_TIME: usize = 2;
/// How long accepting rests when there is no descriptor for the next connection.
const REST: Duration = Duration::from_millis(50);
/// How often connections to origin servers are looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// What every thread is given.
pub(crate) struct Common {
    pub(crate) settings: Settings,
    pub(crate) authenticators: watch::Receiver<Arc<Authenticator>>,
    pub(crate) phases: watch::Receiver<Phase>,
    pub(crate) pulses: watch::Receiver<u64>,
    pub(crate) log: Option<LogSender>,
    pub(crate) capacity: Capacity,
    pub(crate) last_net64: Arc<AtomicU64>,
    pub(crate) bounds: Option<Bounds>,
    /// Sessions that have turned away from addresses.
    pub(crate) turns: Arc<Turns>,
    /// How often a connection may be begun, over all threads.
    pub(crate) connects: Arc<RateLimit>,
}

impl Common {
    fn worker(&self, pool: Option<SourcePool>, tally: &Arc<Tally>) -> WorkerParts {
        let settings = &self.settings;
        let (prefix, allowed) = (settings.prefix, settings.allowed_destinations.clone());
        let (key, v4, timeout) = (settings.session_key, settings.v4, settings.connect_timeout);
        let (authenticator, phase, pulse) = (
            self.authenticators.clone(),
            self.phases.clone(),
            self.pulses.clone(),
        );
        let (pin, via, idle_timeout) = (settings.pin, settings.via, settings.idle_timeout);
        let (handshake_timeout, capacity) = (settings.handshake_timeout, self.capacity.clone());
        let tunnel_age = settings.tunnel_age;
        let (log, tally) = (self.log.clone(), Arc::clone(tally));
        let delivery = settings.delivery.clone();
        let connects = Arc::clone(&self.connects);
        let (last_net64, bounds) = (Arc::clone(&self.last_net64), self.bounds.clone());
        let (per, turns, on_refusal) = (settings.per, Arc::clone(&self.turns), settings.on_refusal);
        // What a thread does not share is made on that thread.
        Box::new(move || Worker {
            egress: Egress {
                sources: pool.map(|pool| Sources::new(pool, key, last_net64, bounds, (per, turns))),
                delivery: delivery.map(Watch::new),
                policy: Policy::new(prefix, allowed),
                v4,
                timeout,
                connects,
                names: Names::default(),
                warned: RefCell::default(),
            },
            authenticator,
            phase,
            pulse,
            pin,
            on_refusal,
            via,
            handshake_timeout,
            idle_timeout,
            tunnel_age,
            reporter: Rc::new(Reporter::new(tally, log)),
            hashing: Semaphore::new(HASHES_AT_A_TIME),
            capacity,
        })
    }
}

type WorkerParts = Box<dyn FnOnce() -> Worker + Send>;

/// Starts the threads, each with a part of the prefix and a socket of every listener.
pub(crate) fn start(
    common: &Common,
    bound: Vec<Bound>,
    tallies: &[Arc<Tally>],
) -> Result<Threads, StartError> {
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
    let idle = Idle::of(settings);
    let (ready, readies) = std::sync::mpsc::channel();
    let mut handles = Vec::new();
    for (index, (pool, tally)) in pools.into_iter().zip(tallies).enumerate() {
        let worker = common.worker(pool, tally);
        let sockets = sockets.pop().unwrap_or_default();
        let (ended, ready) = (ended.clone(), ready.clone());
        let handle = std::thread::Builder::new()
            .name(format!("proxy-{index}"))
            .spawn(move || {
                let result = run_thread(worker, sockets, idle, move || {
                    // Who waits for it ended before.
                    let _ = ready.send(index);
                });
                drop(ended);
                result
            })
            .map_err(StartError::Thread)?;
        handles.push(handle);
    }
    drop(ready);
    let handles = all_ready(handles, &readies)?;
    Ok(Threads { handles, all_ended })
}

type Handles = Vec<JoinHandle<io::Result<()>>>;

/// Waits until each thread accepts. A listener whose thread is not there would leave its clients waiting.
fn all_ready(
    mut handles: Handles,
    readies: &std::sync::mpsc::Receiver<usize>,
) -> Result<Handles, StartError> {
    let mut missing: BTreeSet<usize> = (0..handles.len()).collect();
    while !missing.is_empty() {
        let Ok(index) = readies.recv() else { break };
        missing.remove(&index);
    }
    let Some(index) = missing.pop_first() else {
        return Ok(handles);
    };
    Err(StartError::Thread(match handles.swap_remove(index).join() {
        Ok(Err(error)) => error,
        Ok(Ok(())) | Err(_) => io::Error::other("it ended at once"),
    }))
}

/// The threads at work.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(crate) handles: Vec<JoinHandle<io::Result<()>>>,
    /// Closed when the last thread is done.
    pub(crate) all_ended: mpsc::Receiver<Infallible>,
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

/// What a thread keeps open although nobody uses it at the moment: the connections that are permitted leave one
/// descriptor each for that.
#[derive(Debug, Clone, Copy)]
struct Idle {
    /// Connections to origin servers.
    upstreams: usize,
    pipes: usize,
}

impl Idle {
    fn of(settings: &Settings) -> Self {
        let share = settings.max_connections.div_ceil(settings.threads.max(1));
        Self {
            upstreams: share.div_ceil(2),
            pipes: share / 8,
        }
    }
}

/// Serves; `ready` is called once clients can connect.
fn run_thread(
    worker: WorkerParts,
    sockets: Vec<ThreadSocket>,
    idle: Idle,
    ready: impl FnOnce(),
) -> io::Result<()> {
    if let Err(error) = tuning::work_in_batches() {
        tracing::debug!("no SCHED_BATCH: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build_local(LocalOptions::default())?;
    keep_pipes(idle.pipes);
    runtime.block_on(async {
        let worker = Rc::new(worker());
        let running = Rc::new(Running::default());
        let upstreams = Rc::new(Upstreams::new(idle.upstreams));
        for ThreadSocket { socket, address, tls } in sockets {
            let listener = Listener::new(socket, &address, tls)?;
            let acceptor = Acceptor {
                worker: Rc::clone(&worker),
                running: Rc::clone(&running),
                upstreams: Rc::clone(&upstreams),
            };
            tokio::task::spawn_local(acceptor.accept(listener));
        }
        tokio::task::spawn_local(sweep(Rc::clone(&worker), upstreams));
        tokio::task::spawn_local(answer_pulses(Rc::clone(&worker)));
        ready();
        worker.draining().await;
        let mut phase = worker.phase.clone();
        tokio::select! {
            () = running.all_ended() => {}
            _ = phase.wait_for(|phase| *phase == Phase::Stopped) => {}
        }
        // The sessions that are left go with the runtime.
        worker.reporter.finish_all();
        Ok(())
    })
}

/// Accepts for one listener of a thread.
struct Acceptor {
    worker: Rc<Worker>,
    running: Rc<Running>,
    upstreams: Rc<Upstreams>,
}

impl Acceptor {
    /// Accepts until the proxy drains.
    async fn accept(self, listener: Listener) {
        let worker = &self.worker;
        // While this runs the thread has not finished: what waits in the queue is accepted first.
        let _accepting = self.running.begin();
        let mut draining = std::pin::pin!(worker.draining());
        loop {
            let accepted = tokio::select! {
                biased;
                accepted = listener.accept() => accepted,
                () = draining.as_mut() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &listener),
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    worker.reporter.tally.accept_error();
                    tracing::warn!("a connection cannot be accepted: {error}");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    fn admit(&self, stream: ClientStream, peer: Peer, listener: &Listener) {
        let worker = &self.worker;
        let (admitted, counted) = match worker.capacity.admit() {
            Admission::Served(counted) => (Admitted::Served, counted),
            Admission::TurnedAway(counted) => (Admitted::TurnedAway, counted),
            Admission::Dropped => {
                let exchange = worker.reporter.begin(peer, Protocol::Unknown);
                exchange.refused(&Refusal::Full(worker.capacity.limit));
                return exchange.finish();
            }
        };
        let session = Session::new(Rc::clone(worker), peer, admitted, counted, self.running.begin());
        let served = connection::serve(session, Rc::clone(&self.upstreams), stream, listener.tls.clone());
        // In a box: a task is moved before it runs and after it has ended.
        let span = tracing::debug_span!("connection", client = %peer);
        tokio::task::spawn_local(Box::pin(served.instrument(span)));
    }
}

/// Whether accept(2) failed because of the connection it would have returned.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

async fn sweep(worker: Rc<Worker>, upstreams: Rc<Upstreams>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = ticks.tick() => upstreams.sweep(),
            () = worker.draining() => return upstreams.clear(),
        }
    }
}

/// Shows that this thread gets round to things, whenever it is asked.
async fn answer_pulses(worker: Rc<Worker>) {
    let mut pulse = worker.pulse.clone();
    while pulse.changed().await.is_ok() {
        worker.reporter.tally.answer_pulse(*pulse.borrow_and_update());
    }
}
