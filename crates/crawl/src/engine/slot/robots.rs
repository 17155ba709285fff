//! Asking robots.txt.

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, Method};
use v6kit_model::input::{Overrides, RequestSpec, Spelling};
use v6kit_model::{Answer, Coding, Fault};

use super::Slot;
use super::context::Attempt;
use super::follow::{CarriedRequest, Hop};
use super::outgoing::Outgoing;
use crate::engine::shard::Shard;
use crate::judge::decode::{decode, undo_transfer};
use crate::judge::redirect;
use crate::site::Site;
use crate::site::robots::{self, Rules};

/// Redirects of a robots.txt that are followed (RFC 9309 section 2.3.1.2).
const ROBOTS_REDIRECTS: u32 = 5;

/// What asking for a robots.txt came to.
enum RobotsFile {
    /// An answer, from where redirects led to.
    Answer(Answer),
    /// It cannot be had from where the site says that it is.
    Elsewhere(Fault),
    /// The site does not answer.
    Silence,
}

impl Slot {
    /// Whether robots.txt allows `url`.
    pub(super) async fn ask_robots(&mut self, shard: &Shard, site: &Site, url: &str) -> Result<(), Fault> {
        let rules = match site.known_robots() {
            Some(rules) => rules,
            None => site.robots(async || self.fetch_robots(shard, site).await).await,
        };
        rules.judge(url)
    }

    /// A site that does not answer at all restricts nobody: its items tell what is wrong with it.
    async fn fetch_robots(&mut self, shard: &Shard, site: &Site) -> Rules {
        let spec = RequestSpec::new(Method::GET, shard.job.coding);
        let agent = site.headers.get(USER_AGENT).cloned();
        let mut outgoing = Outgoing::new(&spec, site, "/robots.txt", Overrides::default());
        outgoing.method = Method::GET;
        outgoing.body = Bytes::new();
        match self.fetch_robots_file(shard, site, &outgoing).await {
            RobotsFile::Elsewhere(fault) => Rules::Unreachable(fault.to_string()),
            RobotsFile::Answer(mut answer) => {
                let max_body = shard.job.max_body;
                let decoded = undo_transfer(&mut answer, max_body).and_then(|()| match shard.job.coding {
                    Coding::Undo => decode(&mut answer, max_body),
                    Coding::Keep => Ok(()),
                });
                let agent = agent
                    .as_ref()
                    .and_then(|agent| agent.to_str().ok())
                    .unwrap_or_default();
                match decoded {
                    Ok(()) => Rules::of(answer.status, &answer.body, robots::product(agent)),
                    Err(_) => Rules::All,
                }
            }
            RobotsFile::Silence => Rules::All,
        }
    }

    /// A robots.txt, from where it is.
    async fn fetch_robots_file(&mut self, shard: &Shard, site: &Site, outgoing: &Outgoing<'_>) -> RobotsFile {
        let fetched = self.fetch(shard, site, outgoing, &mut Attempt::new()).await;
        let (Ok((mut answer, connection)), Ok(mut url)) = (fetched, site.url_of(outgoing.path)) else {
            return RobotsFile::Silence;
        };
        shard.keep(site, connection);
        let mut carried = CarriedRequest {
            method: outgoing.method.clone(),
            headers: HeaderMap::clone(&outgoing.headers),
            spelling: Spelling::clone(&outgoing.spelling),
            body: Bytes::new(),
        };
        for _ in 0..ROBOTS_REDIRECTS {
            let next = match redirect::target(&url, answer.status, &answer.headers) {
                Ok(Some(next)) => next,
                Ok(None) => break,
                // It says so in no way that can be followed.
                Err(_) => return RobotsFile::Silence,
            };
            let hop = match Hop::to(shard, next) {
                Ok(hop) => hop,
                Err(fault) => return RobotsFile::Elsewhere(fault),
            };
            let CarriedRequest {
                method,
                headers,
                body,
                ..
            } = &mut carried;
            redirect::adapt(answer.status, &url, &hop.url, method, headers, body);
            hop.site.label(headers);
            hop.site.wait_for_pace(&shard.stop.drain).await;
            let outgoing = carried.outgoing(&hop.path);
            match self.fetch(shard, &hop.site, &outgoing, &mut Attempt::new()).await {
                Ok((next, connection)) => {
                    shard.keep(&hop.site, connection);
                    (answer, url) = (next, hop.url);
                }
                Err(fault) => return RobotsFile::Elsewhere(fault),
            }
        }
        RobotsFile::Answer(answer)
    }
}
