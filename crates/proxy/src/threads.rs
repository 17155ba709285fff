//! The threads that accept and serve, and what each of them is given.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::LocalOptions;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use v6kit_net::SourcePool;

use crate::access_log::LogSender;
use crate::auth::Gate;
use crate::egress::Egress;
use crate::http::Upstreams;
use crate::listen::{Address, Bound, Listener};
use crate::lookup::Names;
use crate::metrics::Tally;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::server::{StartError, random};
use crate::session::{Admitted, Session};
use crate::settings::Settings;
use crate::source::{Bounds, Sources};
use crate::tuning;
use crate::visit::{Protocol, Visit};
use crate::worker::{Admission, Phase, Room, Worker};

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
    pub(crate) gates: watch::Receiver<Arc<Gate>>,
    pub(crate) phases: watch::Receiver<Phase>,
    pub(crate) pulses: watch::Receiver<u64>,
    pub(crate) log: Option<LogSender>,
    pub(crate) room: Room,
    pub(crate) last_net64: Arc<AtomicU64>,
    pub(crate) bounds: Option<Bounds>,
}

impl Common {
    fn worker(&self, pool: Option<SourcePool>, tally: &Arc<Tally>) -> WorkerParts {
        let settings = &self.settings;
        let (prefix, allowed) = (settings.prefix, settings.allowed_destinations.clone());
        let (key, v4, timeout) = (settings.session_key, settings.v4, settings.connect_timeout);
        let (gate, phase, pulse) = (self.gates.clone(), self.phases.clone(), self.pulses.clone());
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
            pulse,
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

fn run_thread(worker: WorkerParts, sockets: Vec<ThreadSocket>) -> io::Result<()> {
    if let Err(error) = tuning::work_in_batches() {
        tracing::debug!("no SCHED_BATCH: {error}");
    }
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
        tokio::task::spawn_local(answer_pulses(Rc::clone(&worker)));
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
    running: Cell<usize>,
    changed: Notify,
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

/// A session that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct SessionGuard(Rc<Sessions>);

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
            Admission::Dropped => {
                let full = Refusal::Full(worker.room.limit);
                Visit::new(&worker, peer, Protocol::Unknown).refused(&full);
                continue;
            }
        };
        let session = Session::new(Rc::clone(&worker), peer, admitted, place, sessions.begin());
        // In a box: a task is moved before it runs and after it has ended.
        tokio::task::spawn_local(Box::pin(session.serve(stream, listener.tls.clone())));
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

/// Shows that this thread gets round to things, whenever it is asked.
async fn answer_pulses(worker: Rc<Worker>) {
    let mut pulse = worker.pulse.clone();
    while pulse.changed().await.is_ok() {
        worker.tally.answer_pulse(*pulse.borrow_and_update());
    }
}
