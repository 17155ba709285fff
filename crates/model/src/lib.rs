//! What a crawl is about: items and the order in which they are visited, URLs, the words of HTTP, how an item can
//! end. [`input`] is where items come from and what is sent for each.
//!
//! Only [`input::List`] reads files; nothing else here does I/O, and nothing prints.

#![warn(clippy::too_many_lines)]

mod counter;
mod counts;
mod date;
mod headers;
pub mod input;
mod item;
mod json;
mod order;
mod ordinals;
mod outcome;
mod protocol;
mod retry_after;
pub mod url;

pub use counter::Counter;
pub use counts::Counts;
pub use date::lenient_date;
pub use headers::Headers;
pub use item::Item;
pub use json::is_portable;
pub use order::{Order, VisitOrder};
pub use ordinals::{NotOrdinals, Ordinals};
pub use outcome::{ErrorKind, Fault, Outcome, drives_terminals};
pub use protocol::{ACCEPTED_CODINGS, Answer, Coding, HttpVersion, Protocol, TransferCoding, without_mark};
pub use retry_after::retry_after;
pub use v6kit_http1::{Head, Version};
