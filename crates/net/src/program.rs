//! Other programs, each with a deadline: one that does not end holds nobody up.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getppid};

/// Where programs of the system are looked for after `PATH`, which lacks these for plain users.
const DIRECTORIES: [&str; 3] = ["", "/usr/sbin/", "/sbin/"];

/// For how long a program that did not end is not started again.
const REST: Duration = Duration::from_secs(60);

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be started.
    #[error("`{program}` cannot be started")]
    Start {
        /// Its name or path.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It was started, and nothing can be read from it or written to it.
    #[error("`{program}` cannot be talked to")]
    Pipe {
        /// Its name or path.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It did not end in time and was killed, with all that it had started in its process group.
    #[error("`{program}` did not end within {} s and was killed", .limit.as_secs())]
    TooLong {
        /// Its name or path.
        program: String,
        /// How long it had.
        limit: Duration,
    },
}

impl ProgramError {
    /// Whether there is no such program.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// What the system said, where it was the system that failed.
    #[must_use]
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Start { source, .. } | Self::Pipe { source, .. } => source,
            Self::TooLong { .. } => io::Error::new(io::ErrorKind::TimedOut, self.to_string()),
        }
    }
}

/// What a program left behind.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Whether all its input fitted into the pipe before it ended or closed it.
    pub took_input: bool,
}

/// What one of the threads that serve a program has to tell.
enum News {
    Written(io::Result<bool>),
    Output(io::Result<Vec<u8>>),
    Error(io::Result<Vec<u8>>),
    Ended,
}

/// [`run_program`] for `name` as it is found in `PATH`, or else where the system keeps its programs for root.
///
/// # Errors
/// [`ProgramError`].
pub fn run_system_program(
    name: &str,
    arguments: &[&str],
    input: &[u8],
    limit: Duration,
) -> Result<Finished, ProgramError> {
    let mut missing = None;
    for directory in DIRECTORIES {
        let mut command = Command::new(format!("{directory}{name}"));
        match run_program(command.args(arguments), input, limit) {
            Err(error) if error.is_missing() => missing = missing.or(Some(error)),
            ran => return ran,
        }
    }
    Err(missing.unwrap_or_else(|| ProgramError::Start {
        program: name.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    }))
}

/// Runs `command` with `input` on its standard input and returns what it printed, whatever it ended with. It has a
/// process group of its own, so that a key on the terminal does not cut it off, which is killed after `limit`; when
/// this process dies, the program does too. A program that had to be killed is not started again for a minute: whoever
/// asks gets the same answer at once.
///
/// # Errors
/// [`ProgramError`]. A program that ends without reading all its input is no error.
pub fn run_program(command: &mut Command, input: &[u8], limit: Duration) -> Result<Finished, ProgramError> {
    let program = command.get_program().to_string_lossy().into_owned();
    if let Some(limit) = resting(&program) {
        return Err(ProgramError::TooLong { program, limit });
    }
    let deadline = Instant::now() + limit;
    let mut child = dying_with_us(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| ProgramError::Start {
            program: program.clone(),
            source,
        })?;
    let news = serve(&mut child, input);
    match collect(&news, deadline) {
        Ok(Some(told)) => {
            // It has ended: this only fetches its status.
            let status = child
                .wait()
                .map_err(|source| ProgramError::Pipe { program, source })?;
            Ok(Finished {
                status,
                stdout: told.stdout,
                stderr: told.stderr,
                took_input: told.took_input,
            })
        }
        Ok(None) => {
            end(&mut child);
            remember(&program, limit);
            Err(ProgramError::TooLong { program, limit })
        }
        Err(source) => {
            end(&mut child);
            Err(ProgramError::Pipe { program, source })
        }
    }
}

/// Has the kernel kill what `command` starts when the thread that starts it is gone, which waits until it has ended
/// (prctl(2), PR_SET_PDEATHSIG).
#[allow(
    unsafe_code,
    reason = "the child itself has to ask for it, between fork and exec, with single system calls"
)]
fn dying_with_us(command: &mut Command) -> &mut Command {
    let us = Pid::this();
    let ask = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // It may have died before it was asked. The first process of a PID namespace sees no parent.
        let parent = getppid();
        if parent == us || parent.as_raw() == 0 {
            Ok(())
        } else {
            Err(io::Error::from(Errno::ESRCH))
        }
    };
    // SAFETY: prctl(2) and getppid(2) allocate nothing and take no lock; neither do the errors.
    unsafe { command.pre_exec(ask) }
}

/// One thread for each pipe and one that waits, so that nothing of the program can block the caller.
fn serve(child: &mut Child, input: &[u8]) -> Receiver<News> {
    let (tell, news) = mpsc::channel();
    if let Some(mut pipe) = child.stdin.take() {
        let (tell, input) = (tell.clone(), input.to_vec());
        thread::spawn(move || {
            let written = match pipe.write_all(&input) {
                // It says why it went away.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
                other => other.map(|()| true),
            };
            drop(pipe);
            let _ = tell.send(News::Written(written));
        });
    }
    if let Some(pipe) = child.stdout.take() {
        let tell = tell.clone();
        thread::spawn(move || tell.send(News::Output(whole(pipe))));
    }
    if let Some(pipe) = child.stderr.take() {
        let tell = tell.clone();
        thread::spawn(move || tell.send(News::Error(whole(pipe))));
    }
    let pid = Pid::from_raw(child.id().cast_signed());
    thread::spawn(move || {
        // Left to be reaped by the caller, so that its number is not given to another process.
        let how = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(pid), how) == Err(Errno::EINTR) {}
        let _ = tell.send(News::Ended);
    });
    news
}

fn whole(mut pipe: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[derive(Default)]
struct Told {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    took_input: bool,
}

/// Standard output and error, once all four threads are done; `None` where that takes too long.
fn collect(news: &Receiver<News>, deadline: Instant) -> io::Result<Option<Told>> {
    let mut told = Told::default();
    for _ in 0..4 {
        let left = deadline.saturating_duration_since(Instant::now());
        match news.recv_timeout(left) {
            Ok(News::Written(written)) => told.took_input = written?,
            Ok(News::Output(bytes)) => told.stdout = bytes?,
            Ok(News::Error(bytes)) => told.stderr = bytes?,
            Ok(News::Ended) => {}
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(Some(told))
}

/// Ends the program and what it started.
fn end(child: &mut Child) {
    let group = Pid::from_raw(child.id().cast_signed());
    // Nothing is left to kill where it ended just now.
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}

/// Programs that did not end, by their file name, with when that was and how long they had.
static RESTING: Mutex<Option<HashMap<String, (Instant, Duration)>>> = Mutex::new(None);

fn file_name(program: &str) -> String {
    program.rsplit('/').next().unwrap_or(program).to_owned()
}

fn remember(program: &str, limit: Duration) {
    let mut resting = RESTING.lock().unwrap_or_else(PoisonError::into_inner);
    resting
        .get_or_insert_default()
        .insert(file_name(program), (Instant::now(), limit));
}

fn resting(program: &str) -> Option<Duration> {
    let resting = RESTING.lock().unwrap_or_else(PoisonError::into_inner);
    let (since, limit) = resting.as_ref()?.get(&file_name(program))?;
    (since.elapsed() < REST).then_some(*limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_program_prints_and_ends_with_is_returned() {
        let ran = run_program(&mut shell("cat; echo no >&2; exit 3"), b"yes", LONG).unwrap();
        assert_eq!(
            (ran.stdout.as_slice(), ran.stderr.as_slice()),
            (&b"yes"[..], &b"no\n"[..])
        );
        assert_eq!(ran.status.code(), Some(3));
        // More than a pipe holds, and a reader that goes away.
        let much = vec![b'x'; 1 << 20];
        assert_eq!(run_program(&mut shell("cat"), &much, LONG).unwrap().stdout, much);
        let early = run_program(&mut shell("true"), &much, LONG).unwrap();
        assert!(early.status.success() && !early.took_input);
    }

    #[test]
    fn a_program_that_is_not_there_is_told_from_one_that_fails() {
        let missing = run_program(&mut Command::new("v6kit-no-such-program"), b"", LONG).unwrap_err();
        assert!(missing.is_missing(), "{missing}");
        let missing = run_system_program("v6kit-no-such-program", &[], b"", LONG).unwrap_err();
        assert!(missing.is_missing(), "{missing}");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_its_children_and_left_alone_for_a_while() {
        // Both keep the pipes open; the second has closed them and stays. Copies, so that no other test's shell rests.
        for (name, script) in [
            ("silent", "echo $$; sleep infinity; true"),
            ("closed", "exec >&- 2>&-; sleep infinity; true"),
        ] {
            let directory = std::env::temp_dir().join(format!("v6kit-program-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            let program = directory.join(name);
            let _ = std::fs::remove_file(&program);
            std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
            let mut command = Command::new(&program);
            command.args(["-c", script]);
            let error = run_program(&mut command, b"", SHORT).unwrap_err();
            assert!(matches!(error, ProgramError::TooLong { .. }), "{name}: {error}");
            assert!(error.to_string().contains(name), "{error}");
            // Not started again: with this deadline the test would not end.
            let again = run_program(&mut command, b"", LONG * 1000).unwrap_err();
            assert_eq!(again.to_string(), error.to_string());
            std::fs::remove_dir_all(&directory).unwrap();
        }
    }
}
