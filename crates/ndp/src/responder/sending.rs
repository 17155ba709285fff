//! Everything that is sent: answers, announcements, word to snooping switches.

use std::net::Ipv6Addr;

use tokio::time::Instant;

use super::{Asked, Claim, Report, Responder};
use crate::counters::Cause;
use crate::event::Event;
use crate::neighbourhood::{Link, State};
use crate::settings::Snooping;
use crate::source::{Finding, Source, SourceWish};
use crate::wire::{ALL_NODES, Advertisement, Flags, Kind, Mac, MulticastRouter, Solicitation};

impl Responder {
    pub(super) fn answer(
        &mut self,
        asked: &Asked,
        claim: Claim,
        report: Report<'_>,
    ) -> Result<Source, Cause> {
        let Solicitation { target, .. } = asked.solicitation;
        let now = Instant::now();
        let link = self.link_that_is_up().ok_or(Cause::CannotSend)?;
        if self.rate.admit(now.into_std()).is_err() {
            let per_second = self.settings.max_rate.get();
            self.warnings
                .rate
                .emit(now, report, || Event::RateLimit { per_second });
            return Err(Cause::RateLimit);
        }
        if !self.answered.admit(target, now, |kept| self.usage.is_open(kept)) {
            let live = self.answered.len();
            self.warnings
                .answered
                .emit(now, report, || Event::LiveLimit { live });
            return Err(Cause::LiveLimit);
        }
        self.counters.set_live(self.answered.len());
        let source = self.choose_source(&asked.solicitation, now, report);
        self.advertise(link, asked, claim, source)
    }

    fn link_that_is_up(&self) -> Option<Link> {
        self.neighbourhood.link().filter(|link| link.state == State::Up)
    }

    fn choose_source(&mut self, solicitation: &Solicitation, now: Instant, report: Report<'_>) -> Source {
        let (source, finding) = match (solicitation.kind(), solicitation.source) {
            (Kind::Resolution, Some(asker)) => self.source.choose(solicitation.target, asker, now),
            _ => (self.source.current(), Finding::Nothing),
        };
        match finding {
            Finding::Nothing => {}
            Finding::Switched => report(&Event::SourceSwitched {
                source: self.source.current(),
            }),
            Finding::Unheard => report(&Event::Unheard),
        }
        // Without a link-local address there is nothing to try.
        if self.settings.source == SourceWish::Auto && self.neighbourhood.link_local().is_none() {
            Source::Target
        } else {
            source
        }
    }

    fn advertise(&self, link: Link, asked: &Asked, claim: Claim, source: Source) -> Result<Source, Cause> {
        let Solicitation {
            target, link_address, ..
        } = asked.solicitation;
        // Who has no address yet is answered through the group of all nodes (RFC 4861 section 7.2.4).
        let (destination, to) = match asked.solicitation.source {
            Some(asker) => (asker, link_address.unwrap_or(asked.from)),
            None => (ALL_NODES, Mac::of_group(ALL_NODES)),
        };
        let advertisement = Advertisement {
            source: self.source_address(source, target).ok_or(Cause::CannotSend)?,
            destination,
            target,
            link_address: link.mac,
            flags: Flags {
                solicited: asked.solicitation.source.is_some(),
                overriding: claim == Claim::Socket,
            },
        };
        match self.socket.send(link.index, to, &advertisement.to_packet()) {
            Ok(()) => Ok(source),
            Err(error) => {
                tracing::debug!(%error, %target, "an advertisement was not sent");
                Err(Cause::CannotSend)
            }
        }
    }

    fn source_address(&self, source: Source, target: Ipv6Addr) -> Option<Ipv6Addr> {
        match source {
            Source::Target => Some(target),
            Source::LinkLocal => self.neighbourhood.link_local(),
        }
    }

    /// Tells everybody the new link-layer address of what they may have cached
    /// (RFC 4861 section 7.2.6), as far as the rate allows.
    pub(super) fn announce(&mut self, link: Link) -> usize {
        let now = Instant::now();
        let mut announced = 0;
        for target in self.answered.addresses() {
            let Some(source) = self.source_address(self.source.current(), target) else {
                break;
            };
            let advertisement = Advertisement {
                source,
                destination: ALL_NODES,
                target,
                link_address: link.mac,
                flags: Flags {
                    solicited: false,
                    overriding: true,
                },
            };
            let packet = advertisement.to_packet();
            if self.rate.admit(now.into_std()).is_ok()
                && self
                    .socket
                    .send(link.index, Mac::of_group(ALL_NODES), &packet)
                    .is_ok()
            {
                self.counters.announced();
                announced += 1;
            }
        }
        announced
    }

    pub(super) fn tell_snoopers(&self, message: MulticastRouter) {
        let (Some(link), Some(source)) = (self.link_that_is_up(), self.neighbourhood.link_local()) else {
            return;
        };
        if self.settings.snooping == Snooping::Silent {
            return;
        }
        let to = Mac::of_group(MulticastRouter::ALL_SNOOPERS);
        if let Err(error) = self.socket.send(link.index, to, &message.to_packet(source)) {
            tracing::debug!(%error, "snooping switches were not told");
        }
    }
}
