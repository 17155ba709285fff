//! The sites of a shard.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use v6kit_model::input::RequestSpec;
use v6kit_model::url::{self, Origin};
use v6kit_model::{ErrorKind, Fault, Item};

use super::{Destinations, Site};
use crate::site::host_queue::HostQueues;

/// The sites of a shard, found by the beginning of a URL.
pub(crate) struct Sites {
    destinations: Arc<Destinations>,
    request: RequestSpec,
    known: RefCell<HashMap<String, Rc<Site>>>,
    last: RefCell<Option<Rc<Site>>>,
}

impl Sites {
    pub(crate) fn new(destinations: Arc<Destinations>, request: RequestSpec) -> Self {
        Self {
            destinations,
            request,
            known: RefCell::default(),
            last: RefCell::new(None),
        }
    }

    /// A site with parked items, that with the fewest slots first.
    pub(crate) fn most_neglected(&self, queues: &HostQueues) -> Option<Item> {
        if queues.parked() == 0 {
            return None;
        }
        let known = self.known.borrow();
        let waiting = known.values().filter(|site| site.host_queue.is_waited_at());
        let site = waiting.min_by_key(|site| site.host_queue.slots())?;
        queues.call(&site.host_queue)
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
        self.last.replace(Some(Rc::clone(&site)));
        Ok((site, path))
    }

    fn meet(&self, spelling: &str, origin: &Origin) -> Result<Rc<Site>, Fault> {
        let site = Rc::new(Site::new(
            spelling,
            origin,
            self.destinations.get(origin),
            &self.request,
        )?);
        self.known
            .borrow_mut()
            .insert(spelling.to_owned(), Rc::clone(&site));
        Ok(site)
    }
}
