//! Receives solicitations, decides, and answers.

mod sending;

use std::future::Future;
use std::io;
use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lru::LruCache;
use tokio::time::{Instant, MissedTickBehavior, interval};
use v6kit_net::{Prefix, RateLimit};

use crate::NdpError;
use crate::answered::{Answered, WhenFull};
use crate::counters::{Cause, Counters};
use crate::event::{Event, Verdict};
use crate::inventory::Sockets;
use crate::neighbourhood::{Holder, Link, Neighbourhood, Notification, State};
use crate::settings::{Scope, Settings, Summary};
use crate::socket::{LONGEST, PacketSocket};
use crate::socket_scan::{ScanStep, SocketScan};
use crate::source::{SourceChoice, SourceWish};
use crate::throttled::ThrottledWarnings;
use crate::usage::Usage;
use crate::wire::{Kind, Mac, MulticastRouter, Solicitation};

/// What may be answered at once, as time at the permitted rate.
const BURST: Duration = Duration::from_secs(1);
/// Solicitations from addresses of the prefix, whose senders have these, and for how long they count.
const SOLICITATIONS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
const SOLICITATION_AGE: Duration = Duration::from_secs(600);
/// Solicitations that may wait for a scan of the sockets.
const BACKLOG: usize = 1024;
/// Packets read before other things have their turn.
const BATCH: usize = 64;
/// Without a limit so many addresses are remembered, to be announced when the link-layer address changes.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// RFC 4286 section 4.2.1: the default.
const ROUTER_INTERVAL_SECONDS: u8 = 20;

/// Answers solicitations. Opened with privileges, run without most of them.
pub struct Responder {
    settings: Settings,
    socket: PacketSocket,
    attached: Option<u32>,
    neighbourhood: Neighbourhood,
    solicitations: LruCache<Ipv6Addr, Instant>,
    scan: SocketScan,
    usage: Usage,
    waiting: Vec<Asked>,
    answered: Answered,
    /// Of what is answered.
    rate: RateLimit,
    source: SourceChoice,
    counters: Arc<Counters>,
    warnings: ThrottledWarnings,
    answers_whole_prefix: bool,
    started: Instant,
}

/// A solicitation with what its packet said about its sender.
#[derive(Debug, Clone, Copy)]
struct Asked {
    solicitation: Solicitation,
    from: Mac,
    at: Instant,
}

/// What is to become of a solicitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Answer(Claim),
    Refuse(Cause),
    /// The sockets have to be scanned first.
    Scan,
}

/// On what ground an address is claimed. It decides the Override flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// A socket of this host has it: whatever somebody has cached is older than that. Override is set,
    /// as RFC 4861 section 7.2.4 asks of the owner of an address.
    Socket,
    /// It lies in the prefix and nobody else is known to have it. Override is not set, as for a proxy:
    /// should a neighbour have it after all, his own answer prevails.
    Prefix,
}

/// Whether the sockets were scanned after the solicitation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scanned {
    NotSince,
    Since,
}

/// What to do next.
enum Wake {
    Stop,
    Notified(Notification),
    Scan(ScanStep),
    Tick,
    Packets,
}

type Report<'a> = &'a mut dyn FnMut(&Event);

impl Responder {
    /// Opens everything that needs privileges and starts to hear solicitations. Inside a tokio runtime.
    ///
    /// # Errors
    /// [`NdpError`]: the device is missing or the wrong one, or CAP_NET_RAW is.
    pub async fn open(settings: Settings) -> Result<Self, NdpError> {
        let neighbourhood = Neighbourhood::watch(&settings.device).await?;
        if settings.source == SourceWish::LinkLocal && neighbourhood.link_local().is_none() {
            let device = settings.device;
            return Err(NdpError::NoLinkLocal { device });
        }
        let socket = PacketSocket::open(settings.prefix).map_err(listen)?;
        let now = Instant::now();
        let mut scan = SocketScan::open(settings.prefix).map_err(NdpError::SocketList)?;
        let mut usage = Usage::default();
        if settings.scope != Scope::All {
            // The first scan loads kernel modules, which asks for privileges in some places.
            let sockets = scan.take_now().map_err(NdpError::SocketList)?;
            usage.update(sockets, now, |address| neighbourhood.is_ours(address));
        }
        let mut responder = Self {
            answered: match settings.live {
                Some(limit) => Answered::new(limit, WhenFull::Refuse),
                None => Answered::new(REMEMBERED, WhenFull::Forget),
            },
            rate: RateLimit::new(settings.max_rate.get().into(), BURST, now.into_std()),
            source: SourceChoice::new(settings.source),
            answers_whole_prefix: settings.scope == Scope::All
                || settings.scope == Scope::Auto && !usage.is_sending(now),
            settings,
            socket,
            attached: None,
            neighbourhood,
            solicitations: LruCache::new(SOLICITATIONS),
            scan,
            usage,
            waiting: Vec::new(),
            counters: Arc::default(),
            warnings: ThrottledWarnings::default(),
            started: now,
        };
        responder.attach().map_err(listen)?;
        Ok(responder)
    }

    /// The counters, which go on counting while it runs.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Whether every address of the prefix is answered for at the moment.
    #[must_use]
    pub fn answers_whole_prefix(&self) -> bool {
        self.answers_whole_prefix
    }

    /// Whether the device carries packets at the moment.
    #[must_use]
    pub fn is_link_up(&self) -> bool {
        self.neighbourhood
            .link()
            .is_some_and(|link| link.state == State::Up)
    }

    /// Answers until `stop` is ready.
    ///
    /// # Errors
    /// [`NdpError::Netlink`] when the kernel does not tell about changes any more.
    pub async fn run(
        mut self,
        stop: impl Future<Output = ()>,
        report: Report<'_>,
    ) -> Result<Summary, NdpError> {
        let mut stop = std::pin::pin!(stop);
        let mut ticks = interval(Duration::from_secs(ROUTER_INTERVAL_SECONDS.into()));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let scan_wanted = !self.waiting.is_empty();
            let wake = tokio::select! {
                biased;
                () = &mut stop => Wake::Stop,
                notification = self.neighbourhood.notification() => Wake::Notified(notification?),
                step = self.scan.next(scan_wanted) => Wake::Scan(step),
                _ = ticks.tick() => Wake::Tick,
                ready = self.socket.readable() => ready.map(|()| Wake::Packets).map_err(NdpError::Listen)?,
            };
            match wake {
                Wake::Stop => return Ok(self.finish()),
                Wake::Notified(notification) => self.notified(notification, report).await?,
                Wake::Scan(ScanStep::Due) => self.scan.start(),
                Wake::Scan(ScanStep::Found(found)) => self.found(found, report),
                Wake::Tick => {
                    self.counters.set_dropped(self.socket.dropped());
                    self.tell_snoopers(MulticastRouter::Advertisement {
                        interval_seconds: ROUTER_INTERVAL_SECONDS,
                    });
                }
                Wake::Packets => {
                    self.catch_up(report).await?;
                    self.receive_batch(report);
                }
            }
        }
    }

    fn finish(self) -> Summary {
        self.tell_snoopers(MulticastRouter::Termination);
        self.counters.set_dropped(self.socket.dropped());
        Summary {
            prefix: self.settings.prefix,
            device: self.settings.device,
            source: self.source.current(),
            seconds: self.started.elapsed().as_secs(),
            counts: self.counters.now(),
        }
    }

    /// Takes in what the kernel told before the packets came: a neighbour that it has just learned of is
    /// not to be answered for.
    async fn catch_up(&mut self, report: Report<'_>) -> Result<(), NdpError> {
        // Lets the task that reads the netlink socket have its turn.
        tokio::task::yield_now().await;
        while let Some(notification) = self.neighbourhood.notification().now_or_never() {
            self.notified(notification?, report).await?;
        }
        Ok(())
    }

    fn receive_batch(&mut self, report: Report<'_>) {
        let mut buffer = [0; LONGEST];
        for _ in 0..BATCH {
            match self.socket.receive(&mut buffer) {
                Ok((length, from)) => self.receive(&buffer[..length], from, report),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // ENETDOWN, told once; netlink tells the rest.
                Err(error) => tracing::debug!(%error, "nothing received"),
            }
        }
    }

    fn receive(&mut self, packet: &[u8], from: Mac, report: Report<'_>) {
        self.counters.solicited();
        match Solicitation::parse(packet) {
            Ok(solicitation) => {
                let at = Instant::now();
                let asked = Asked {
                    solicitation,
                    from,
                    at,
                };
                self.listen_for_neighbours(&asked);
                self.follow(self.decide(&asked, Scanned::NotSince), asked, report);
            }
            Err(invalid) => {
                let cause = Cause::from(invalid);
                self.counters.refused(cause);
                if self.settings.report_solicitations {
                    let verdict = Verdict::Refused { refused: cause };
                    report(&Event::Solicitation {
                        asker: None,
                        target: None,
                        from,
                        verdict,
                    });
                }
            }
        }
    }

    /// Who asks from an address of the prefix has that address.
    fn listen_for_neighbours(&mut self, asked: &Asked) {
        if let Some(source) = asked.solicitation.source
            && self.settings.prefix.contains(source)
            && self
                .neighbourhood
                .link()
                .is_some_and(|link| link.mac != asked.from)
        {
            self.solicitations.put(source, asked.at);
        }
    }

    fn decide(&self, asked: &Asked, scanned: Scanned) -> Decision {
        let Solicitation { target, .. } = asked.solicitation;
        let now = Instant::now();
        if let Some(cause) = self.not_ours(asked, now) {
            return Decision::Refuse(cause);
        }
        if self.usage.is_recent(target, now) {
            return Decision::Answer(Claim::Socket);
        }
        let probed_by_another = asked.solicitation.kind() == Kind::Duplicate;
        match (self.settings.scope, scanned) {
            (Scope::All, _) => Decision::Answer(Claim::Prefix),
            (_, Scanned::NotSince) => Decision::Scan,
            (Scope::OnlyUsed, Scanned::Since) => Decision::Refuse(Cause::Unused),
            (Scope::Auto, Scanned::Since) if self.usage.is_sending(now) || probed_by_another => {
                Decision::Refuse(Cause::Unused)
            }
            (Scope::Auto, Scanned::Since) => Decision::Answer(Claim::Prefix),
        }
    }

    /// Why the target is somebody else's, if it is.
    fn not_ours(&self, asked: &Asked, now: Instant) -> Option<Cause> {
        let target = asked.solicitation.target;
        if self
            .neighbourhood
            .link()
            .is_some_and(|link| link.mac == asked.from)
        {
            return Some(Cause::Reflected);
        }
        if !self.settings.prefix.contains(target) {
            return Some(Cause::OutsidePrefix);
        }
        if is_routers_anycast(target, self.settings.prefix) {
            return Some(Cause::Anycast);
        }
        match self.neighbourhood.holder(target) {
            Some(Holder::ThisHost) => Some(Cause::OwnAddress),
            Some(Holder::Gateway) => Some(Cause::Gateway),
            Some(Holder::Neighbour) => Some(Cause::Neighbour),
            None => {
                let last = self.solicitations.peek(&target);
                let lately = last.is_some_and(|at| now.duration_since(*at) < SOLICITATION_AGE);
                lately.then_some(Cause::Neighbour)
            }
        }
    }

    fn follow(&mut self, decision: Decision, asked: Asked, report: Report<'_>) {
        let verdict = match decision {
            Decision::Scan if self.waiting.len() < BACKLOG => {
                self.waiting.push(asked);
                return;
            }
            Decision::Scan => Err(Cause::Backlog),
            Decision::Refuse(cause) => Err(cause),
            Decision::Answer(claim) => self.answer(&asked, claim, report),
        };
        let verdict = match verdict {
            Ok(source) => {
                let kind = asked.solicitation.kind();
                self.counters.answered(kind);
                Verdict::Answered {
                    answered: kind,
                    source,
                }
            }
            Err(refused) => {
                self.counters.refused(refused);
                Verdict::Refused { refused }
            }
        };
        if self.settings.report_solicitations {
            report(&Event::Solicitation {
                asker: asked.solicitation.source,
                target: Some(asked.solicitation.target),
                from: asked.from,
                verdict,
            });
        }
    }

    /// Takes in a scan of the sockets and decides what has waited for it.
    fn found(&mut self, found: io::Result<Sockets>, report: Report<'_>) {
        self.counters.looked();
        let scanned_at = self.scan.started;
        match found {
            Ok(sockets) => {
                let Self {
                    usage, neighbourhood, ..
                } = self;
                usage.update(sockets, scanned_at, |address| neighbourhood.is_ours(address));
            }
            Err(error) => {
                let error = error.to_string();
                let event = || Event::SocketListFailed { error };
                self.warnings.sockets.emit(Instant::now(), report, event);
            }
        }
        self.note_scope(report);
        for asked in std::mem::take(&mut self.waiting) {
            let scanned = if asked.at <= scanned_at {
                Scanned::Since
            } else {
                Scanned::NotSince
            };
            self.follow(self.decide(&asked, scanned), asked, report);
        }
    }

    fn note_scope(&mut self, report: Report<'_>) {
        if self.settings.scope != Scope::Auto {
            return;
        }
        let whole = !self.usage.is_sending(Instant::now());
        if whole != self.answers_whole_prefix {
            self.answers_whole_prefix = whole;
            report(&if whole {
                Event::WholePrefix
            } else {
                Event::OnlyUsed
            });
        }
    }

    async fn notified(&mut self, notification: Notification, report: Report<'_>) -> Result<(), NdpError> {
        let before = (self.neighbourhood.link(), self.neighbourhood.link_local());
        self.neighbourhood.take_in(notification).await?;
        let after = (self.neighbourhood.link(), self.neighbourhood.link_local());
        if before == after {
            return Ok(());
        }
        self.link_changed(before.0, after.0, report);
        self.tell_snoopers(MulticastRouter::Advertisement {
            interval_seconds: ROUTER_INTERVAL_SECONDS,
        });
        Ok(())
    }

    fn link_changed(&mut self, before: Option<Link>, after: Option<Link>, report: Report<'_>) {
        match (before, after) {
            (Some(_), None) => {
                self.attached = None;
                report(&Event::DeviceGone);
            }
            (None, Some(_)) => report(&Event::DeviceBack),
            (Some(before), Some(after)) if before.state != after.state => report(&match after.state {
                State::Up => Event::LinkUp,
                State::Down => Event::LinkDown,
            }),
            _ => {}
        }
        if let Err(error) = self.attach() {
            // It was gone again before it could be used; its return will be told.
            tracing::warn!(%error, "the device cannot be listened on");
        }
        if let (Some(before), Some(after)) = (before, after)
            && before.mac != after.mac
        {
            let announced = self.announce(after);
            let link_address = after.mac;
            report(&Event::LinkAddressChanged {
                link_address,
                announced,
            });
        }
    }

    /// Follows the device when it is another one of the same name.
    fn attach(&mut self) -> io::Result<()> {
        let index = self.neighbourhood.link().map(|link| link.index);
        if let Some(new) = index
            && self.attached != index
        {
            self.socket.attach(new)?;
            self.attached = index;
        }
        Ok(())
    }
}

/// The all-zeros interface identifier belongs to the routers of the link (RFC 4291 section 2.6.1), except
/// on links between two (RFC 6164) and for single addresses.
fn is_routers_anycast(target: Ipv6Addr, prefix: Prefix) -> bool {
    prefix.length() < 127 && target.to_bits() & u128::from(u64::MAX) == 0
}

fn listen(error: io::Error) -> NdpError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => NdpError::NotPermitted(error),
        _ => NdpError::Listen(error),
    }
}
