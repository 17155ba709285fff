//! The client's side of HTTP/1.1 (RFC 9112): one request, one answer, over any transport.
//!
//! Lenient in how the lines of a head are spelled, as curl and browsers are; strict in where a message ends and
//! in which connections serve another request. An answer is given to the request that it belongs to, or to none.
//!
//! - [`Connection`] sends a [`Request`] and reads its [`Answer`], while it is still sending where need be.
//! - [`Connection::look`] tells, before another request, whether the server has said something that nobody
//!   asked for. Then the answer before is in doubt, too.
//! - [`Transport`] is what bytes go over. It is polled, and lends its bytes to a buffer of the caller's.
//! - Deadlines are the caller's: an exchange that is dropped half-way leaves a connection that is not open.

mod buffer;
mod chunked;
mod connection;
mod error;
mod fields;
mod framing;
mod head;
mod index;
mod limit;
mod mend;
mod output;
mod request;
mod transport;

pub use self::buffer::Buffers;
pub use self::connection::{Answer, Connection};
pub use self::error::{Error, Part, Violation};
pub use self::framing::{Coding, KeepAlive};
pub use self::head::{Fields, Head, Version};
pub use self::limit::Limit;
pub use self::request::{Block, Request, RequestError};
pub use self::transport::{Look, Standing, Transport};
