//! What the kernel is asked for to be woken less often.

#![allow(
    unsafe_code,
    reason = "neither std, socket2 nor nix has a scheduling policy or, ready made, TCP_DEFER_ACCEPT"
)]

use std::io;

use libc::c_int;
use nix::errno::Errno;
use nix::sys::socket::setsockopt;
use nix::{setsockopt_impl, sockopt_impl};
use socket2::Socket;

/// Seconds after which a client that says nothing is accepted all the same (tcp(7)).
const SILENCE: c_int = 1;

sockopt_impl!(
    /// Accepts with the first bytes, or after so many seconds (tcp(7)).
    DeferAccept,
    SetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    c_int
);

/// Lets connections of `listener` be accepted together with the client's first bytes, or a second later.
///
/// # Errors
/// What setsockopt(2) said.
pub(crate) fn defer_accept(listener: &Socket) -> nix::Result<()> {
    setsockopt(listener, DeferAccept, &SILENCE)
}

/// Lets this thread finish waiting for a processor before it runs, rather than interrupt whoever woke it, which is
/// mostly about to send more (sched(7), SCHED_BATCH). A policy that somebody chose stays.
///
/// # Errors
/// What sched_setscheduler(2) said.
pub(crate) fn work_in_batches() -> io::Result<()> {
    if policy()? != libc::SCHED_OTHER {
        return Ok(());
    }
    set_policy(libc::SCHED_BATCH)
}

// Of this thread. By system call: musl's functions of these names only say that POSIX wants something else.

fn policy() -> io::Result<c_int> {
    // SAFETY: 0 is the calling thread, and the call takes nothing else.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    Errno::result(policy as c_int).map_err(io::Error::from)
}

fn set_policy(policy: c_int) -> io::Result<()> {
    // The kernel's struct sched_param.
    let priority: c_int = 0;
    // SAFETY: the parameter outlives the call, which does not keep it.
    let result = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
    Errno::result(result).map(drop).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use socket2::SockRef;

    use super::*;

    #[test]
    fn who_speaks_is_accepted_with_the_first_byte_and_who_is_silent_later() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        defer_accept(&SockRef::from(&listener)).unwrap();
        let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let silent = connect();
        let mut speaker = connect();
        speaker.write_all(b"x").unwrap();
        for client in [speaker, silent] {
            assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
        }
    }

    #[test]
    fn a_thread_works_in_batches_unless_somebody_chose_otherwise() {
        let after = |chosen: Option<c_int>| {
            let thread = thread::spawn(move || {
                chosen.map_or(Ok(()), set_policy)?;
                work_in_batches()?;
                policy()
            });
            thread.join().unwrap().unwrap()
        };
        assert_eq!(after(None), libc::SCHED_BATCH);
        assert_eq!(after(Some(libc::SCHED_IDLE)), libc::SCHED_IDLE);
    }
}
