//! What happens to a call that was shown.

use std::fs::File;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::Pid;
use socket2::Domain;
use v6kit_net::RateLimit;

use crate::call::{Call, Names};
use crate::destination::{LeftAlone, Named, Reason};
use crate::kernel::{self, Answer, Listener, Notice, Table};
use crate::log::{Entry, Protocol};
use crate::pending::{Connected, Pending};
use crate::process;
use crate::settings::{Ipv4, Settings};
use crate::socket::{Kind, Mode, Socket};
use crate::sources::{Asking, Sources};
use crate::tally::{Note, Tally, count};

/// What happens to a call, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Now(Answer),
    /// It goes on then.
    At(Instant),
}

const CONTINUE: Verdict = Verdict::Now(Answer::Continue);

const fn refuse(errno: Errno) -> Verdict {
    Verdict::Now(Answer::Refuse(errno))
}

/// Decides about calls, and binds sockets on the way.
#[derive(Debug)]
pub(crate) struct Policy {
    sources: Sources,
    left_alone: LeftAlone,
    v4: Ipv4,
    pace: Option<RateLimit>,
    log: Option<File>,
    /// The network namespace whose sockets are meant.
    namespace: Option<u64>,
    pending: Pending,
    pub(crate) tally: Tally,
    /// What is to be said.
    pub(crate) notes: Vec<Note>,
    has_named_server: bool,
}

/// How a socket is used by a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Connect,
    Send,
}

/// Where a call goes, after what is left alone was taken out.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Nowhere that matters here.
    Near,
    V4(SocketAddrV4),
    V6(SocketAddrV6),
}

impl Policy {
    pub(crate) fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self {
            sources: Sources::new(settings.pools, settings.per, settings.session, settings.key),
            left_alone: LeftAlone {
                except: settings.except,
                name_servers: settings.name_servers,
            },
            v4: settings.v4,
            pace: settings
                .connect_rate
                .map(|rate| RateLimit::even(Some(rate), Duration::ZERO, now)),
            log: settings.log,
            namespace: own_namespace(),
            pending: Pending::default(),
            tally: Tally::default(),
            notes: Vec::new(),
            has_named_server: false,
        }
    }

    /// What is written to, besides what the caller holds.
    pub(crate) fn log(&self) -> Option<&File> {
        self.log.as_ref()
    }

    /// Decides about a call whose caller waits.
    pub(crate) fn decide(&mut self, listener: &Listener, notice: &Notice) -> Verdict {
        match Call::of(notice) {
            Call::Foreign => {
                let program = process::name(notice.thread);
                if count(&mut self.tally.foreign, &program) {
                    self.notes.push(Note::Foreign { program });
                }
                refuse(Errno::EPERM)
            }
            Call::Connect { descriptor, address } => match address.read(notice.thread) {
                Ok(named) => self.go(listener, notice, descriptor, &[named], Use::Connect),
                Err(errno) => self.unread(notice, errno),
            },
            Call::Send {
                descriptor,
                names,
                opens,
            } => self.send(listener, notice, descriptor, names, opens),
            // The filter shows no other.
            Call::Unknown => refuse(Errno::ENOSYS),
        }
    }

    fn send(
        &mut self,
        listener: &Listener,
        notice: &Notice,
        descriptor: i32,
        names: Names,
        opens: bool,
    ) -> Verdict {
        let named = match names.read(notice.thread) {
            Ok(named) => named,
            Err(errno) => return self.unread(notice, errno),
        };
        let how = if opens { Use::Connect } else { Use::Send };
        self.go(listener, notice, descriptor, &named, how)
    }

    /// The kernel does not let the caller's memory or its descriptors be read, or there is nothing where it points to.
    fn unread(&mut self, notice: &Notice, errno: Errno) -> Verdict {
        if errno != Errno::EPERM && errno != Errno::EACCES {
            return refuse(errno);
        }
        let program = process::name(notice.thread);
        if count(&mut self.tally.not_seen, &program) {
            self.notes.push(Note::NotSeen { program });
        }
        refuse(Errno::EACCES)
    }

    fn go(
        &mut self,
        listener: &Listener,
        notice: &Notice,
        descriptor: i32,
        named: &[Named],
        how: Use,
    ) -> Verdict {
        if named.iter().all(|named| *named == Named::Other) {
            // Unix sockets, and sockets that are connected: nothing is chosen by this call.
            self.look_at_pending(notice, None);
            return CONTINUE;
        }
        let socket = match take(notice.thread, descriptor) {
            Ok(socket) => socket,
            // What is no descriptor is none for the kernel either.
            Err(Errno::EBADF) => return CONTINUE,
            Err(errno) => return self.unread(notice, errno),
        };
        if !listener.is_waiting(notice.id) {
            // The thread id may be another's by now: nothing is done to what was taken.
            return refuse(Errno::EINTR);
        }
        self.look_at_pending(notice, socket.cookie());
        self.route(notice, descriptor, &socket, named, how)
            .unwrap_or_else(refuse)
    }

    fn route(
        &mut self,
        notice: &Notice,
        descriptor: i32,
        socket: &Socket,
        named: &[Named],
        how: Use,
    ) -> nix::Result<Verdict> {
        let domain = socket.domain()?;
        if domain != Domain::IPV6 && domain != Domain::IPV4 || self.is_elsewhere(socket) {
            return Ok(CONTINUE);
        }
        let kind = socket.kind()?;
        if kind == Kind::Stream && how == Use::Send {
            // The name is ignored: the socket is connected or the call fails.
            return Ok(CONTINUE);
        }
        if how == Use::Connect && matches!(named, [Named::Unspecified(..)]) {
            if let Some(cookie) = socket.cookie() {
                self.pending.forget(cookie);
            }
            return Ok(CONTINUE);
        }
        let mut wanted = None;
        for named in named {
            match self.way(*named, domain) {
                Way::Near => {}
                Way::V4(to) => match self.v4 {
                    Ipv4::Refuse => return Ok(self.refuse_v4(notice, to, kind)),
                    Ipv4::Direct => self.tally.ipv4_direct += 1,
                },
                Way::V6(to) => wanted = wanted.or(Some(to)),
            }
        }
        let Some(to) = wanted else { return Ok(CONTINUE) };
        match kind {
            Kind::Stream => self.stream(notice, socket, to),
            Kind::Datagram => self.datagram(notice, descriptor, socket, to, how),
        }
    }

    fn way(&mut self, named: Named, domain: Domain) -> Way {
        let to: SocketAddr = match named {
            Named::Other => return Way::Near,
            // An IPv4 socket takes it for AF_INET (`udp_sendmsg` in net/ipv4/udp.c); others send to their peer.
            Named::Unspecified(address, port) if domain == Domain::IPV4 => (address, port).into(),
            Named::Unspecified(..) => return Way::Near,
            Named::V4(address, port) => (address, port).into(),
            Named::V6(address, port) => (address, port).into(),
        };
        match self.left_alone.reason(to.ip(), to.port()) {
            Some(Reason::NameServer) if !self.has_named_server => {
                self.has_named_server = true;
                self.notes.push(Note::NameServer(to));
                Way::Near
            }
            Some(_) => Way::Near,
            None => match to {
                SocketAddr::V4(to) => Way::V4(to),
                SocketAddr::V6(to) => Way::V6(to),
            },
        }
    }

    /// Whether the socket belongs to another network namespace, where the prefix is not.
    fn is_elsewhere(&self, socket: &Socket) -> bool {
        match (self.namespace, socket.namespace()) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => false,
        }
    }

    fn refuse_v4(&mut self, notice: &Notice, to: SocketAddrV4, kind: Kind) -> Verdict {
        self.tally.refused_v4(to.into());
        match kind {
            Kind::Stream => {
                self.tally.ipv4_refused += 1;
                let entry = Entry {
                    refused: Some("ipv4"),
                    from: None,
                    ..self.entry(notice.thread, Protocol::Tcp, to.into())
                };
                self.write(&entry);
            }
            Kind::Datagram => self.tally.ipv4_refused_datagrams += 1,
        }
        refuse(Errno::ENETUNREACH)
    }

    fn stream(&mut self, notice: &Notice, socket: &Socket, to: SocketAddrV6) -> nix::Result<Verdict> {
        let local = socket.local()?;
        if !local.ip().is_unspecified() {
            if !self.sources.contains(*local.ip()) {
                self.tally.bound_elsewhere += 1;
            }
            // Ours from a call before, or the program's own choice.
            return Ok(CONTINUE);
        }
        if local.port() != 0 {
            self.tally.wildcard_refused += 1;
            return Ok(refuse(Errno::EADDRNOTAVAIL));
        }
        let from = self.choose(notice, to, true);
        if let Err(errno) = socket.bind(from, 0) {
            return Ok(self.not_bound(from, errno));
        }
        self.tally.connections += 1;
        self.tally.given(from);
        let entry = Entry {
            from: Some(from),
            ..self.entry(notice.thread, Protocol::Tcp, to.into())
        };
        self.write(&entry);
        Ok(self.pace(socket.mode()))
    }

    /// When a connection may begin. One that does not wait cannot be held without holding all that its thread does.
    fn pace(&mut self, mode: Mode) -> Verdict {
        let Some(pace) = &self.pace else { return CONTINUE };
        let now = Instant::now();
        let due = pace.reserve(now);
        match mode {
            _ if due <= now => CONTINUE,
            Mode::Blocking => Verdict::At(due),
            Mode::NonBlocking => {
                self.tally.not_paced += 1;
                CONTINUE
            }
        }
    }

    fn datagram(
        &mut self,
        notice: &Notice,
        descriptor: i32,
        socket: &Socket,
        to: SocketAddrV6,
        how: Use,
    ) -> nix::Result<Verdict> {
        let mut local = socket.local()?;
        let is_connected = socket.is_connected();
        if is_connected && how == Use::Connect && !self.sources.contains(*local.ip()) {
            // The address may come from the peer that it is about to leave.
            local = socket.dissolve()?;
        }
        if !local.ip().is_unspecified() {
            if self.sources.contains(*local.ip()) {
                if let Some(cookie) = socket.cookie()
                    && how == Use::Connect
                    && self.pending.holds(cookie)
                {
                    self.wait(notice, descriptor, cookie, *local.ip(), to);
                }
                return Ok(CONTINUE);
            }
            if is_connected && how == Use::Send {
                // From the address of its peer, which cannot be told from one that was asked for.
                self.tally.wildcard_refused += 1;
                return Ok(refuse(Errno::EADDRNOTAVAIL));
            }
            self.tally.bound_elsewhere += 1;
            return Ok(CONTINUE);
        }
        let port = local.port();
        if port != 0 && socket.dissolve()?.port() != 0 {
            return Ok(self.left(notice, port));
        }
        let from = self.choose(notice, to, false);
        if let Err(errno) = socket.bind(from, port) {
            return Ok(self.not_bound(from, errno));
        }
        match socket.cookie() {
            Some(cookie) if how == Use::Connect => self.wait(notice, descriptor, cookie, from, to),
            _ => {
                let entry = Entry {
                    from: Some(from),
                    ..self.entry(notice.thread, Protocol::Udp, to.into())
                };
                self.sends(&entry);
            }
        }
        Ok(CONTINUE)
    }

    /// A UDP socket whose port the program asked for, at every address: it is a service, and stays one.
    fn left(&mut self, notice: &Notice, port: u16) -> Verdict {
        self.tally.wildcard_left += 1;
        if self.tally.wildcard_left == 1 {
            self.notes.push(Note::WildcardPort {
                program: process::name(notice.thread),
                port,
            });
        }
        CONTINUE
    }

    fn choose(&mut self, notice: &Notice, to: SocketAddrV6, counts: bool) -> Ipv6Addr {
        let thread = notice.thread;
        self.sources.choose(
            Instant::now(),
            Asking {
                destination: *to.ip(),
                process: &|| process::identity(thread),
                counts,
            },
        )
    }

    fn not_bound(&mut self, from: Ipv6Addr, errno: Errno) -> Verdict {
        let why = errno.desc().to_owned();
        if count(&mut self.tally.not_bound, &why) {
            self.notes.push(Note::NotBound { from, why });
        }
        refuse(Errno::EADDRNOTAVAIL)
    }

    fn entry(&self, thread: Pid, protocol: Protocol, to: SocketAddr) -> Entry {
        let (pid, program) = match self.log {
            Some(_) => (process::of_thread(thread).as_raw(), process::name(thread)),
            // Nobody reads it.
            None => (0, String::new()),
        };
        Entry {
            at: jiff::Timestamp::now(),
            pid,
            program,
            protocol,
            from: None,
            to,
            refused: None,
        }
    }

    /// A socket is connected, and may never send.
    fn wait(&mut self, notice: &Notice, descriptor: i32, cookie: u64, from: Ipv6Addr, to: SocketAddrV6) {
        let connected = Connected {
            process: process::of_thread(notice.thread),
            descriptor,
            cookie,
            entry: Entry {
                from: Some(from),
                ..self.entry(notice.thread, Protocol::Udp, to.into())
            },
        };
        if let Some(oldest) = self.pending.add(connected) {
            self.sends(&oldest.entry);
        }
    }

    /// What a process connected before it does something else was meant, where it still has it.
    fn look_at_pending(&mut self, notice: &Notice, but: Option<u64>) {
        if self.pending.is_empty() {
            return;
        }
        for connected in self.pending.of(process::of_thread(notice.thread), but) {
            let is_there = take(connected.process, connected.descriptor)
                .is_ok_and(|socket| socket.cookie() == Some(connected.cookie));
            if is_there {
                self.sends(&connected.entry);
            }
        }
    }

    /// Everything that was served has ended: what still waits was meant.
    pub(crate) fn end(&mut self) {
        for connected in self.pending.rest() {
            self.sends(&connected.entry);
        }
    }

    fn sends(&mut self, entry: &Entry) {
        self.tally.datagram_sockets += 1;
        if let Some(from) = entry.from {
            self.tally.given(from);
        }
        self.write(entry);
    }

    fn write(&mut self, entry: &Entry) {
        if let Some(log) = &self.log
            && entry.append(log).is_err()
        {
            self.tally.not_logged += 1;
        }
    }
}

/// The descriptor of a thread, as a socket. Where the kernel knows descriptors of processes only, it must be the same one
/// in the thread's own table.
fn take(thread: Pid, descriptor: i32) -> nix::Result<Socket> {
    let (taken, table) = kernel::take(thread, || process::of_thread(thread), descriptor)?;
    if table == Table::OfProcess {
        let inode = nix::sys::stat::fstat(&taken)?.st_ino;
        let link = std::fs::read_link(format!("/proc/{thread}/fd/{descriptor}"));
        if !link.is_ok_and(|link| link.as_os_str() == format!("socket:[{inode}]").as_str()) {
            return Err(Errno::EACCES);
        }
    }
    Ok(Socket::new(taken))
}

fn own_namespace() -> Option<u64> {
    let socket = socket2::Socket::new(Domain::UNIX, socket2::Type::DGRAM, None).ok()?;
    Socket::new(socket.into()).namespace()
}
