//! The bytes of a connection that have been read and not used.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;

/// The size of a buffer that is read into: what a socket brings at once, at most.
const SIZE: usize = 64 * 1024;
/// Buffers that are kept for the next connection that reads.
const SPARE: usize = 4;
/// What a connection that waits may hold for each byte that came.
const SLACK: usize = 4;
/// The smallest buffer of a connection's own.
const SMALLEST: usize = 512;

/// Buffers for whichever connection of a thread reads now. One that waits and has read nothing holds none.
#[derive(Debug, Default)]
pub struct Buffers(RefCell<Vec<Vec<u8>>>);

impl Buffers {
    /// No buffers yet.
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::default()
    }

    fn take(&self) -> Vec<u8> {
        let spare = self.0.borrow_mut().pop();
        spare.unwrap_or_else(|| Vec::with_capacity(SIZE))
    }

    fn give(&self, mut buffer: Vec<u8>) {
        let mut spare = self.0.borrow_mut();
        if buffer.capacity() >= SIZE && buffer.capacity() <= 2 * SIZE && spare.len() < SPARE {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

/// What was read, of which the first bytes have been used.
#[derive(Debug, Default)]
pub(crate) struct Input {
    data: Vec<u8>,
    used: usize,
}

impl Input {
    /// What is to be used.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.data[self.used..]
    }

    /// Marks bytes as used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.used += count;
        if self.used >= self.data.len() {
            self.data.clear();
            self.used = 0;
        }
    }

    /// Room to append to.
    pub(crate) fn room(&mut self, buffers: &Buffers) -> &mut Vec<u8> {
        if self.data.capacity() == 0 {
            self.data = buffers.take();
        } else if self.data.len() == self.data.capacity() {
            self.data.drain(..self.used);
            self.used = 0;
            if self.data.len() == self.data.capacity() {
                self.data.reserve(self.data.len().max(SMALLEST));
            }
        }
        &mut self.data
    }

    /// Gives back what is not needed while nothing comes: all of an empty buffer, most of one that holds little.
    pub(crate) fn rest(&mut self, buffers: &Buffers) {
        let held = self.unread().len();
        let fits = (SLACK * held).max(SMALLEST);
        if held == 0 {
            if self.data.capacity() > 0 {
                buffers.give(std::mem::take(&mut self.data));
                self.used = 0;
            }
        } else if self.data.capacity() > fits {
            let mut own = Vec::with_capacity(fits / 2);
            own.extend_from_slice(self.unread());
            buffers.give(std::mem::replace(&mut self.data, own));
            self.used = 0;
        }
    }

    /// The next bytes as a value of its own: copied, unless they are most of the buffer. Then they keep it.
    pub(crate) fn split(&mut self, count: usize) -> Bytes {
        if 2 * count < self.data.capacity() {
            let copy = Bytes::copy_from_slice(&self.unread()[..count]);
            self.consume(count);
            return copy;
        }
        let from = self.used;
        let rest = self.unread()[count..].to_vec();
        let lent = Bytes::from(std::mem::replace(&mut self.data, rest));
        self.used = 0;
        lent.slice(from..from + count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_waits_holds_little() {
        let buffers = Buffers::new();
        let mut input = Input::default();
        assert_eq!(input.room(&buffers).capacity(), SIZE);
        input.rest(&buffers);
        assert_eq!(input.data.capacity(), 0);
        input.room(&buffers).extend_from_slice(b"abc");
        input.consume(1);
        input.rest(&buffers);
        assert_eq!(input.unread(), b"bc");
        assert!(input.data.capacity() <= SMALLEST, "{}", input.data.capacity());
        assert_eq!(buffers.0.borrow().len(), 1);
    }

    #[test]
    fn what_is_large_is_lent_and_what_is_small_is_copied() {
        let buffers = Buffers::new();
        for size in [10, SIZE - 10] {
            let mut input = Input::default();
            let mut bytes = vec![b'x'; size];
            bytes.extend_from_slice(b"rest");
            input.room(&buffers).extend_from_slice(&bytes);
            let place = input.unread().as_ptr();
            let body = input.split(size);
            assert_eq!((&body[..], input.unread()), (&bytes[..size], &b"rest"[..]));
            assert_eq!(body.as_ptr() == place, size > 10);
        }
    }

    #[test]
    fn no_more_buffers_are_kept_than_are_of_use() {
        let buffers = Buffers::new();
        let mut many: Vec<Input> = (0..20).map(|_| Input::default()).collect();
        for input in &mut many {
            input.room(&buffers);
        }
        for input in &mut many {
            input.rest(&buffers);
        }
        assert_eq!(buffers.0.borrow().len(), SPARE);
    }
}
