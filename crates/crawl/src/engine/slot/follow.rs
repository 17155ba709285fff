//! Going where answers lead.

use std::rc::Rc;
use std::time::Instant;

use v6kit_model::Answer;

use super::Slot;
use super::carried::{CarriedRequest, Hop};
use super::conclude::{conclude, led_on, set_aside};
use super::context::ItemContext;
use super::reach::Reach;
use super::robots::{Named, Refused};
use crate::connect::connection::Connection;
use crate::engine::shard::Shard;
use crate::judge::redirect;
use crate::site::Permit;

impl Slot {
    /// Follows redirects to their end, and brings the item to its record or puts it off.
    pub(super) async fn follow(
        &mut self,
        shard: &Shard,
        context: &mut ItemContext<'_>,
        carried: CarriedRequest,
        first: (Answer, Connection),
    ) {
        self.follow_to_end(shard, context, carried, first).await;
        self.bound = None;
        self.reach = Reach::Named;
    }

    /// Waits until the site may be asked that an answer led to.
    async fn permit_to(&mut self, shard: &Shard, hop: &Hop) -> Result<Permit, Refused> {
        let reach = self.require_reach(shard, &hop.site).await;
        reach.map_err(Refused::Forbidden)?;
        let (url, now) = (hop.url.as_str(), Instant::now());
        self.permit(shard, &hop.site, Named::ByRedirect, url, now).await
    }

    async fn follow_to_end(
        &mut self,
        shard: &Shard,
        context: &mut ItemContext<'_>,
        mut carried: CarriedRequest,
        first: (Answer, Connection),
    ) {
        let path = context.site.path_of(context.url).to_owned();
        let mut hop = match context.site.url_of(&path) {
            Ok(url) => Hop {
                path,
                site: Rc::clone(&context.site),
                url,
            },
            Err(fault) => return conclude(shard, context, &carried.outgoing(""), Err(fault), None).await,
        };
        let mut fetched = Ok(first);
        for followed in 0.. {
            let next = match &fetched {
                Ok((answer, _)) => hop.next(shard, answer, followed),
                Err(_) => Ok(None),
            };
            let (answer, connection, next) = match (fetched, next) {
                (Ok((answer, connection)), Ok(Some(next))) => (answer, connection, next),
                (fetched, end) => {
                    if let Err(fault) = &fetched
                        && set_aside(shard, context, context.attempt.began, fault).await
                    {
                        return;
                    }
                    let fault = end.err();
                    if followed > 0 || fault.is_some() {
                        context.final_url = Some(hop.url.into());
                    }
                    return conclude(shard, context, &carried.outgoing(&hop.path), fetched, fault).await;
                }
            };
            let status = answer.status;
            carried.keep(shard, &hop, context, &connection, answer);
            led_on(shard, context, &connection);
            self.be_led_from(&connection);
            // Cookies belong to an address: whoever was given one goes on from there.
            if shard.jars.is_some() && shard.settings.sources.is_some() {
                self.bound = Some(connection.from());
            }
            shard.keep(&hop.site, connection);
            let CarriedRequest {
                method,
                headers,
                body,
                ..
            } = &mut carried;
            redirect::adapt(status, &hop.url, &next.url, method, headers, body);
            if !Rc::ptr_eq(&hop.site, &next.site) {
                next.site.label(headers);
            }
            hop = next;
            context.site = Rc::clone(&hop.site);
            context.permit = match self.permit_to(shard, &hop).await {
                Ok(Permit::Stopped) | Err(Refused::Stopped) => return,
                Ok(permit) => permit,
                Err(Refused::NoConnection(fault)) => {
                    context.permit = Permit::Go;
                    fetched = Err(fault);
                    continue;
                }
                Err(Refused::Forbidden(fault)) => {
                    // Nobody was asked, so nobody has failed.
                    context.final_url = Some(hop.url.into());
                    shard.finish(context.item.ordinal, &context.record(Some(&fault)));
                    return;
                }
            };
            let before = context.attempt.took;
            context.attempt.go_on(&shard.clock);
            let outgoing = carried.outgoing(&hop.path);
            fetched = self
                .fetch(shard, &hop.site, &outgoing, &mut context.attempt)
                .await;
            context.attempt.took = before + context.attempt.began.elapsed();
        }
    }
}
