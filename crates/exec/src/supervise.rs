//! Receives calls and answers them, as long as there is somebody to serve.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::PipeReader;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::kernel::{self, Answer, Listener, Notice};
use crate::policy::{Policy, Verdict};
use crate::process;
use crate::settings::Settings;
use crate::signals::{Origin, Signals};
use crate::start::{self, become_program};
use crate::tally::{Note, Status, Tally};

/// Bytes of a message to the front at most.
pub(crate) const MESSAGE: usize = 64 * 1024;

/// A signal that came to the whole group is passed on by the front within this time.
const SAME_SIGNAL: Duration = Duration::from_secs(1);
/// How often is received again before everything else has its turn.
const MAX_DRAINS: u32 = 256;

/// What the front is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    Note(Note),
    /// The program was stopped, as by Ctrl-Z.
    Stopped,
    /// It has ended, or was not started.
    Ended {
        status: Status,
        tally: Box<Tally>,
        leaves: Leaves,
    },
    /// It cannot be served; what was tried, and what the system said.
    Failed {
        call: String,
        errno: i32,
    },
}

/// What a program leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Leaves {
    Nothing,
    /// Programs, which are served on.
    Programs,
}

/// Who the supervisor talks to.
#[derive(Debug)]
pub(crate) struct Around {
    /// To and from the front.
    pub(crate) front: OwnedFd,
    /// Ends when the watcher does.
    pub(crate) watcher: PipeReader,
    /// The signal mask that the program is given.
    pub(crate) mask: SigSet,
}

#[derive(Debug)]
struct Supervisor {
    policy: Policy,
    listener: Option<Listener>,
    signals: Signals,
    front: Option<OwnedFd>,
    watcher: PipeReader,
    program: Pid,
    has_ended: bool,
    /// Calls that go on at their time.
    held: BTreeMap<Instant, Vec<u64>>,
    /// Signals that came to this process as well, and so to the program.
    group: Vec<(i32, Instant)>,
}

/// Starts the program and serves it and what it starts to the end.
pub(crate) fn run(words: &[OsString], settings: Settings, around: Around) -> i32 {
    let Around { front, watcher, mask } = around;
    let failed = |call: &str, errno: Errno| {
        tell(
            &front,
            &Told::Failed {
                call: call.to_owned(),
                errno: errno as i32,
            },
        );
        0
    };
    let signals = match nix::sys::prctl::set_child_subreaper(true).and_then(|()| Signals::open()) {
        Ok(signals) => signals,
        Err(errno) => return failed("supervise", errno),
    };
    let policy = Policy::new(settings);
    let waiting = match start::start(|child| become_program(child, words, mask)) {
        Ok(waiting) => waiting,
        Err(start::NotInstalled::Fork(errno)) => return failed("start a process", errno),
        Err(start::NotInstalled::Seccomp(errno)) => return failed("put the program under a filter", errno),
        Err(start::NotInstalled::Take(errno)) => return failed("take the program's calls", errno),
    };
    let (program, listener, going) = waiting.go();
    let kept: Vec<i32> = [
        Some(front.as_raw_fd()),
        Some(watcher.as_raw_fd()),
        Some(signals.as_fd().as_raw_fd()),
        Some(listener.descriptor()),
        Some(going.descriptor()),
        policy.log().map(AsRawFd::as_raw_fd),
    ]
    .into_iter()
    .flatten()
    .collect();
    // What the program was given is the program's: a pipe ends when nobody holds it.
    if kernel::close_all_but(&kept).is_err() || crate::watch::let_go().is_err() {
        process::end_all_below();
        return failed("let go of the program's files", Errno::EIO);
    }
    let not_started = going.outcome().err();
    let mut supervisor = Supervisor {
        policy,
        listener: Some(listener),
        signals,
        front: Some(front),
        watcher,
        program,
        has_ended: false,
        held: BTreeMap::new(),
        group: Vec::new(),
    };
    if let Some(errno) = not_started {
        supervisor.finish(Status::NotStarted { errno: errno as i32 }, Leaves::Nothing);
    }
    supervisor.serve()
}

/// Says it where somebody listens.
fn tell(front: &OwnedFd, told: &Told) -> bool {
    serde_json::to_vec(told).is_ok_and(|message| {
        message.len() <= MESSAGE && send(front.as_raw_fd(), &message, MsgFlags::MSG_NOSIGNAL).is_ok()
    })
}

impl Supervisor {
    fn serve(&mut self) -> i32 {
        loop {
            match self.wait() {
                Ok(()) => {}
                Err(Errno::EINTR) => continue,
                Err(_) => return 1,
            }
            self.release();
            if self.is_unwatched() {
                process::end_all_below();
                return 1;
            }
            self.receive();
            self.hear();
            if self.reap() {
                return 0;
            }
        }
    }

    /// Waits until something is to be done.
    fn wait(&self) -> nix::Result<()> {
        let mut of_interest = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.watcher.as_fd(), PollFlags::POLLIN),
        ];
        of_interest.extend(
            self.listener
                .as_ref()
                .map(|listener| PollFd::new(listener.borrowed(), PollFlags::POLLIN)),
        );
        of_interest.extend(
            self.front
                .as_ref()
                .map(|front| PollFd::new(front.as_fd(), PollFlags::POLLIN)),
        );
        poll(&mut of_interest, self.patience()).map(drop)
    }

    fn patience(&self) -> PollTimeout {
        let Some((due, _)) = self.held.first_key_value() else {
            return PollTimeout::NONE;
        };
        // Up to the next millisecond, so that it is not too early.
        let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }

    /// Lets calls go on whose time has come.
    fn release(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.held.first_entry()
            && *entry.key() <= now
        {
            for id in entry.remove() {
                self.answer(id, Answer::Continue);
            }
        }
    }

    fn answer(&self, id: u64, answer: Answer) {
        if let Some(listener) = &self.listener {
            // A caller that was killed needs none.
            let _ = listener.answer(id, answer);
        }
    }

    fn is_unwatched(&self) -> bool {
        ready(&self.watcher).is_some()
    }

    /// Answers the calls that wait. They are received at once and decided later: a signal interrupts the caller of one that
    /// was not received, and then the call was never made (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV of seccomp(2)).
    fn receive(&mut self) {
        let mut received = VecDeque::new();
        for turn in 0_u32.. {
            // Who calls without end does not keep signals and held calls waiting.
            if turn < MAX_DRAINS {
                self.drain(&mut received);
            }
            let (Some(notice), Some(listener)) = (received.pop_front(), &self.listener) else {
                return;
            };
            match self.policy.decide(listener, &notice) {
                Verdict::Now(answer) => self.answer(notice.id, answer),
                Verdict::At(due) => self.held.entry(due).or_default().push(notice.id),
            }
            for note in std::mem::take(&mut self.policy.notes) {
                self.say(&Told::Note(note));
            }
        }
    }

    /// Receives what there is. As many wait as there are threads that call.
    fn drain(&mut self, received: &mut VecDeque<Notice>) {
        while let Some(listener) = &self.listener {
            match ready(&listener.borrowed()) {
                Some(flags) if flags.contains(PollFlags::POLLIN) => {}
                Some(_) => {
                    // Nobody is left under the filter.
                    self.listener = None;
                    return;
                }
                None => return,
            }
            // ENOENT: its caller is gone.
            if let Ok(notice) = listener.receive() {
                received.push_back(notice);
            }
        }
    }

    fn say(&mut self, told: &Told) {
        if let Some(front) = &self.front
            && !tell(front, told)
        {
            self.front = None;
        }
    }

    /// Hears signals that came here, and those that the front passes on.
    fn hear(&mut self) {
        let now = Instant::now();
        while let Ok(Some((signal, origin))) = self.signals.next() {
            if origin == Origin::Process {
                self.group.push((signal, now));
            }
        }
        self.group
            .retain(|(_, at)| now.saturating_duration_since(*at) < SAME_SIGNAL);
        while let Some(front) = &self.front
            && ready(front).is_some()
        {
            let mut signal = [0; 4];
            match recv(front.as_raw_fd(), &mut signal, MsgFlags::MSG_DONTWAIT) {
                Ok(4) => self.pass_on(i32::from_ne_bytes(signal)),
                Err(Errno::EAGAIN | Errno::EINTR) => return,
                // The front was killed, and so would have been the program in its place.
                _ => {
                    self.front = None;
                    if !self.has_ended {
                        let _ = nix::sys::signal::kill(self.program, Signal::SIGKILL);
                    }
                }
            }
        }
    }

    /// Sends the program a signal that the front got, unless the whole group got it.
    fn pass_on(&mut self, signal: i32) {
        if let Some(at) = self.group.iter().position(|(seen, _)| *seen == signal) {
            self.group.remove(at);
            return;
        }
        if !self.has_ended {
            kernel::send_signal(self.program, signal);
        }
    }

    /// Reaps what has ended; whether nothing is left.
    fn reap(&mut self) -> bool {
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
        let mut ended = None;
        let is_over = loop {
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::StillAlive) => break false,
                Ok(WaitStatus::Exited(pid, code)) if pid == self.program => {
                    // An exit status has 8 bits (wait(2)).
                    ended = Some(Status::Exited(u8::try_from(code & 0xff).unwrap_or(u8::MAX)));
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.program => {
                    ended = Some(Status::Signaled(signal as i32));
                }
                Ok(WaitStatus::Stopped(pid, _)) if pid == self.program => self.say(&Told::Stopped),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break true,
            }
        };
        if is_over {
            self.policy.end();
        }
        if let Some(status) = ended {
            if is_over {
                self.finish(status, Leaves::Nothing);
            } else {
                self.say(&Told::Note(Note::Outlived));
                self.finish(status, Leaves::Programs);
            }
        }
        is_over
    }

    /// The program has ended: its status is the front's now, and who is left is served on.
    fn finish(&mut self, status: Status, leaves: Leaves) {
        if self.has_ended {
            return;
        }
        self.has_ended = true;
        let tally = Box::new(self.policy.tally.clone());
        self.say(&Told::Ended {
            status,
            tally,
            leaves,
        });
        self.front = None;
    }
}

/// What there is to be read, if anything, without waiting.
fn ready(descriptor: &impl AsFd) -> Option<PollFlags> {
    let mut of_interest = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    match poll(&mut of_interest, PollTimeout::ZERO) {
        Ok(count) if count > 0 => of_interest[0].revents(),
        _ => None,
    }
}
