//! What a job is made of, whether it is known beforehand or found on the way.

use super::{Cursor, Items, Overrides, RequestSpec};
use crate::outcome::Fault;

/// The items of a job, by position.
///
/// A list of links that grows while it is crawled is one, and so is [`Items`], which is known from the start. What
/// is discovered becomes true together with the record of the item that it was found in.
pub trait Frontier {
    /// How many items there are.
    fn total(&self) -> Total;

    /// Appends the URL at `position`, counted from 0, and tells in what its request differs from `spec`, where
    /// that has placeholders.
    ///
    /// # Errors
    /// [`ErrorKind::BadItem`](crate::ErrorKind::BadItem); what stands in place of the URL is appended.
    fn item(
        &self,
        position: u64,
        cursor: &mut Cursor,
        spec: Option<&RequestSpec>,
        url: &mut String,
    ) -> Result<Overrides, Fault>;

    /// The answer for the item at `parent` led to `urls`: how many of them are new items. None, where the items
    /// are known from the start.
    fn discover(&self, parent: u64, urls: &[String]) -> u64;
}

/// The number of items of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// So many, and no more.
    Known(u64),
    /// So many up to now.
    Growing(u64),
}

impl Total {
    /// How many there are up to now.
    #[must_use]
    pub fn so_far(self) -> u64 {
        match self {
            Self::Known(count) | Self::Growing(count) => count,
        }
    }
}

impl Frontier for Items {
    fn total(&self) -> Total {
        Total::Known(self.count())
    }

    fn item(
        &self,
        position: u64,
        cursor: &mut Cursor,
        spec: Option<&RequestSpec>,
        url: &mut String,
    ) -> Result<Overrides, Fault> {
        Self::item(self, position, cursor, spec, url)
    }

    fn discover(&self, _parent: u64, _urls: &[String]) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_known_from_the_start_and_discover_nothing() {
        let items = Items::templates(vec!["http://a/{1..3}".parse().unwrap()]).unwrap();
        let frontier: &dyn Frontier = &items;
        assert_eq!(frontier.total(), Total::Known(3));
        assert_eq!(frontier.discover(0, &["http://a/4".to_owned()]), 0);
        assert_eq!(frontier.total().so_far(), 3);
        let mut url = String::new();
        frontier.item(2, &mut Cursor::default(), None, &mut url).unwrap();
        assert_eq!(url, "http://a/3");
    }
}
