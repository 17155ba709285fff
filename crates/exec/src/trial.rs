//! Whether all this is possible here: a child that is thrown away goes the whole way.

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use socket2::{Domain, Socket as Plain, Type};
use v6kit_net::{Code, Hint};

use crate::call::Call;
use crate::filter;
use crate::kernel::{self, Answer, Listener};
use crate::settings::Settings;
use crate::socket::Socket;
use crate::start::{self, NotInstalled};

/// A destination that nobody has (RFC 3849), and the port of discard (RFC 863). Nothing is sent to it.
const NOWHERE: SocketAddrV6 = SocketAddrV6::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9, 0, 0);

/// How long the child may take to make its call, in milliseconds.
const PATIENCE: u16 = 10_000;

/// Why the calls of a program cannot be seen or its sockets not be bound here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// This build is for a CPU whose calls it does not know.
    #[error("this build does not know the system calls of this CPU")]
    Cpu,
    /// Before Linux 5.6, or built without it.
    #[error("the kernel is too old or built without it: {call} is missing (Linux 5.6 has it)")]
    Kernel {
        /// The missing call.
        call: &'static str,
    },
    /// A filter with a listener is there already.
    #[error(
        "this runs below a program that sees system calls itself (another v6kit exec, WSL 2, a sandbox): there can be one"
    )]
    Nested,
    /// Yama forbids it.
    #[error("kernel.yama.ptrace_scope is {scope}, which lets {who} look at other programs")]
    Yama {
        /// Its value.
        scope: u8,
        /// Who may.
        who: &'static str,
    },
    /// A seccomp profile or a security module forbids a call.
    #[error(
        "{call} is not permitted here: a seccomp profile, such as Docker's default, or a security module forbids it"
    )]
    Forbidden {
        /// The call.
        call: &'static str,
    },
    /// The address of the prefix was not to be had.
    #[error("a socket cannot be bound to {from}: {errno}")]
    NotBound {
        /// The address.
        from: Ipv6Addr,
        /// What the system said.
        errno: Errno,
    },
    /// Something else.
    #[error("{call}: {errno}")]
    Other {
        /// The call.
        call: &'static str,
        /// What the system said.
        errno: Errno,
    },
    /// The call was made and did not show.
    #[error("the kernel did not show the call of a child, or did not do what it was answered")]
    NotShown,
}

impl Hint for Unavailable {
    fn code(&self) -> Code {
        Code::NoExec
    }

    fn hint(&self) -> Option<String> {
        let proxy = "`v6kit proxy` needs none of this: start it, and set https_proxy=http://127.0.0.1:1234 for the program";
        Some(match self {
            Self::Yama { scope: 2, .. } => format!("run it as root, or use the proxy: {proxy}"),
            Self::Forbidden { .. } => {
                format!("give the container --cap-add SYS_PTRACE, or use the proxy: {proxy}")
            }
            _ => proxy.to_owned(),
        })
    }
}

/// Sends a child that is thrown away the whole way to a bound socket, without a packet.
///
/// This process must have a single thread: it is cloned.
///
/// # Errors
/// [`Unavailable`].
pub fn try_out(settings: &Settings) -> Result<(), Unavailable> {
    let from = settings.pools.first().map(|pool| pool.addresses.clone().draw());
    look(from.unwrap_or(Ipv6Addr::LOCALHOST))
}

/// [`try_out`] with an address, which no device needs to have.
///
/// # Errors
/// [`Unavailable`].
pub fn look(from: Ipv6Addr) -> Result<(), Unavailable> {
    if !filter::is_known() {
        return Err(Unavailable::Cpu);
    }
    // Without IPv6 the child would have no call to make.
    Plain::new(Domain::IPV6, Type::DGRAM, None).map_err(|error| Unavailable::Other {
        call: "socket",
        errno: error.raw_os_error().map_or(Errno::EAFNOSUPPORT, Errno::from_raw),
    })?;
    let waiting = start::start(move |_child| connect_from(from)).map_err(not_installed)?;
    let (child, listener, _going) = waiting.go();
    let served = serve(&listener, from);
    drop(listener);
    if served.is_err() {
        let _ = kill(child, Signal::SIGKILL);
    }
    let ended = waitpid(child, None);
    served?;
    match ended {
        Ok(WaitStatus::Exited(_, 0)) => Ok(()),
        _ => Err(Unavailable::NotShown),
    }
}

/// What the child does: 0 where its socket has the address afterwards.
fn connect_from(from: Ipv6Addr) -> i32 {
    let Ok(socket) = Plain::new(Domain::IPV6, Type::DGRAM, None) else {
        return 2;
    };
    let connected = socket.connect(&NOWHERE.into());
    let local = socket.local_addr().ok().and_then(|local| local.as_socket_ipv6());
    match local {
        Some(local) if connected.is_ok() && *local.ip() == from => 0,
        _ => 1,
    }
}

fn serve(listener: &Listener, from: Ipv6Addr) -> Result<(), Unavailable> {
    let mut of_interest = [PollFd::new(listener.borrowed(), PollFlags::POLLIN)];
    let shown = loop {
        match poll(&mut of_interest, PollTimeout::from(PATIENCE)) {
            Err(Errno::EINTR) => {}
            Ok(count) if count > 0 => break of_interest[0].revents(),
            _ => return Err(Unavailable::NotShown),
        }
    };
    if !shown.is_some_and(|flags| flags.contains(PollFlags::POLLIN)) {
        return Err(Unavailable::NotShown);
    }
    let notice = listener.receive().map_err(|errno| because("seccomp", errno))?;
    let Call::Connect { descriptor, address } = Call::of(&notice) else {
        return Err(Unavailable::NotShown);
    };
    address
        .read(notice.thread)
        .map_err(|errno| because("process_vm_readv", errno))?;
    let (taken, _) = kernel::take(notice.thread, || notice.thread, descriptor)
        .map_err(|errno| because("pidfd_getfd", errno))?;
    Socket::new(taken)
        .bind(from, 0)
        .map_err(|errno| Unavailable::NotBound { from, errno })?;
    listener
        .answer(notice.id, Answer::Value(0))
        .map_err(|errno| because("seccomp", errno))
}

fn not_installed(why: NotInstalled) -> Unavailable {
    match why {
        NotInstalled::Fork(errno) => Unavailable::Other { call: "fork", errno },
        NotInstalled::Seccomp(Errno::EBUSY) => Unavailable::Nested,
        NotInstalled::Seccomp(Errno::ENOSYS | Errno::EINVAL) => Unavailable::Kernel { call: "seccomp" },
        NotInstalled::Seccomp(errno) => because("seccomp", errno),
        NotInstalled::Take(errno) => because("pidfd_getfd", errno),
    }
}

/// What it means that `call` failed.
fn because(call: &'static str, errno: Errno) -> Unavailable {
    match errno {
        Errno::ENOSYS => Unavailable::Kernel { call },
        Errno::EPERM | Errno::EACCES => match yama() {
            Some(scope @ 2) => Unavailable::Yama {
                scope,
                who: "only root",
            },
            Some(scope @ 3) => Unavailable::Yama { scope, who: "nobody" },
            _ => Unavailable::Forbidden { call },
        },
        errno => Unavailable::Other { call, errno },
    }
}

/// kernel.yama.ptrace_scope (Documentation/admin-guide/LSM/Yama.rst), where there is one.
fn yama() -> Option<u8> {
    let text = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?;
    text.trim().parse().ok()
}
