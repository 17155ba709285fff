//! What a crawl is about: items and the order in which they are visited, URLs, the words of HTTP, how an item can
//! end. [`input`] is where items come from and what is sent for each.
//!
//! Only [`input::List`] reads files; nothing else here does I/O, and nothing prints.

mod counter;
mod counts;
pub mod input;
mod item;
mod order;
mod ordinals;
mod outcome;
mod protocol;
pub mod url;

pub use counter::Counter;
pub use counts::Counts;
pub use item::Item;
pub use order::{Order, VisitOrder};
pub use ordinals::{NotOrdinals, Ordinals};
pub use outcome::{ErrorKind, Fault, Outcome};
pub use protocol::{ACCEPTED_CODINGS, Answer, Coding, HttpVersion, Protocol};
