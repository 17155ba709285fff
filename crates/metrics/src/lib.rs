//! Counters in the text format of Prometheus, and the HTTP server that hands them out.
//!
//! Whoever counts renders a [`Page`] when a scraper asks; nothing here holds a number.

mod listener;
mod page;

pub use listener::MetricsListener;
pub use page::{Kind, Page};
