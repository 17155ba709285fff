//! The sites of a shard.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use v6kit_model::input::RequestSpec;
use v6kit_model::url::{self, Origin};
use v6kit_model::{ErrorKind, Fault};

use super::{Destinations, Site};
use crate::site::idle::IdleConnections;

/// Sites that a shard knows although it has nothing to do there: their failures of late, what they speak.
const AT_REST: usize = 1_000;

/// The sites of a shard, found by the beginning of a URL.
pub(crate) struct Sites {
    destinations: Arc<Destinations>,
    request: RequestSpec,
    known: RefCell<HashMap<String, Rc<Site>>>,
    last: RefCell<Option<Rc<Site>>>,
    pub(crate) connections: Rc<IdleConnections>,
    /// Items that were not of the same site as the one before.
    met: Cell<u64>,
    /// How many sites may be known before it is looked which can be forgotten.
    most: Cell<usize>,
}

impl Sites {
    pub(crate) fn new(
        destinations: Arc<Destinations>,
        request: RequestSpec,
        connections: IdleConnections,
    ) -> Self {
        Self {
            destinations,
            request,
            known: RefCell::default(),
            last: RefCell::new(None),
            connections: Rc::new(connections),
            met: Cell::new(0),
            most: Cell::new(2 * AT_REST),
        }
    }

    /// The site of `url`, and the path with the query.
    ///
    /// # Errors
    /// [`ErrorKind::BadItem`].
    pub(crate) fn find<'u>(&self, url: &'u str) -> Result<(Rc<Site>, &'u str), Fault> {
        if let Some(last) = &*self.last.borrow()
            && let Some(path) = url.strip_prefix(&last.spelling)
            && path.starts_with(['/', '?'])
        {
            return Ok((Rc::clone(last), path));
        }
        let bad = |error: url::UrlError| Fault::from_error(ErrorKind::BadItem, &error);
        let (spelling, path) = url::split(url).map_err(bad)?;
        let known = self.known.borrow().get(spelling).cloned();
        let site = match known {
            Some(site) => site,
            None => self.meet(spelling, &Origin::parse(spelling).map_err(bad)?)?,
        };
        self.met.set(self.met.get() + 1);
        site.met.set(self.met.get());
        self.last.replace(Some(Rc::clone(&site)));
        Ok((site, path))
    }

    fn meet(&self, spelling: &str, origin: &Origin) -> Result<Rc<Site>, Fault> {
        let site = Rc::new(Site::new(
            spelling,
            origin,
            self.destinations.get(origin),
            &self.request,
            &self.connections,
        )?);
        if self.known.borrow().len() >= self.most.get() {
            self.forget();
        }
        self.known
            .borrow_mut()
            .insert(spelling.to_owned(), Rc::clone(&site));
        Ok(site)
    }

    /// Forgets the sites that have nothing to do, but those that were met last. What all shards share about their
    /// destinations is not here.
    fn forget(&self) {
        let mut known = self.known.borrow_mut();
        // Whoever does something at a site holds it.
        let is_at_rest = |site: &Rc<Site>| Rc::strong_count(site) == 1 && site.is_at_rest();
        let mut met: Vec<u64> = known
            .values()
            .filter(|site| is_at_rest(site))
            .map(|site| site.met.get())
            .collect();
        if met.len() > AT_REST {
            let first = met.len() - AT_REST;
            let (_, oldest, _) = met.select_nth_unstable(first);
            known.retain(|_, site| !is_at_rest(site) || site.met.get() >= *oldest);
            known.shrink_to_fit();
        }
        self.most.set(known.len() + AT_REST);
    }
}

#[cfg(test)]
mod tests {
    use v6kit_model::{Coding, HttpVersion};

    use super::*;
    use crate::site::DestinationSettings;
    use crate::site::idle::Room;
    use crate::site::rate::Rate;
    use crate::stats::events;

    #[test]
    fn sites_without_work_are_forgotten_and_others_are_not() {
        let settings = DestinationSettings {
            rate: Rate::Max,
            rate_total: Rate::Max,
            http: HttpVersion::Auto,
            resolve: Vec::new(),
            proxy: None,
        };
        let (sink, _events) = events::channel();
        let sites = Sites::new(
            Arc::new(Destinations::new(settings, sink)),
            RequestSpec::new(http::Method::GET, Coding::Undo),
            IdleConnections::new(Room::new(10, 1), Arc::default()),
        );
        let (in_use, _) = sites.find("http://h0.test/").unwrap();
        for host in 1..10 * AT_REST {
            let url = format!("http://h{host}.test/");
            sites.find(&url).unwrap();
            // Beside them those that are in use: the first one and the last.
            assert!(sites.known.borrow().len() <= 2 * AT_REST + 4, "after {url}");
        }
        let (again, _) = sites.find("http://h0.test/").unwrap();
        assert!(Rc::ptr_eq(&in_use, &again));
        let last = format!("http://h{}.test", 10 * AT_REST - 1);
        assert!(sites.known.borrow().contains_key(&last));
    }
}
