//! A request on its way out.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::transport::Transport;

/// What is kept of the room for writing while nothing is sent.
const KEPT_ROOM: usize = 2 * 1024;

/// What is to be sent.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) first: Vec<u8>,
    pub(crate) rest: Bytes,
    /// How much of both was sent.
    pub(crate) sent: usize,
    /// All of it is with the transport, which may hold on to it.
    pub(crate) is_flushed: bool,
    pub(crate) failed: Option<io::Error>,
}

impl Output {
    pub(crate) fn is_sent(&self) -> bool {
        self.is_flushed && self.failed.is_none()
    }

    /// Sends what can be sent. A failure is kept: the server may have answered all the same.
    pub(crate) fn poll<T: Transport>(&mut self, transport: &mut T, cx: &mut Context<'_>) {
        while !self.is_flushed && self.failed.is_none() {
            let first = self.first.len();
            let bytes = match self.sent.checked_sub(first) {
                None => &self.first[self.sent..],
                Some(sent) => &self.rest[sent..],
            };
            let result = if bytes.is_empty() {
                transport.poll_flush(cx).map_ok(|()| self.is_flushed = true)
            } else {
                transport.poll_write(cx, bytes).map(|result| match result? {
                    0 => Err(io::ErrorKind::WriteZero.into()),
                    written => {
                        self.sent += written;
                        Ok(())
                    }
                })
            };
            match result {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => self.failed = Some(error),
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.first.clear();
        self.first.shrink_to(KEPT_ROOM);
        self.rest = Bytes::new();
        self.sent = 0;
        self.is_flushed = false;
        self.failed = None;
    }
}
