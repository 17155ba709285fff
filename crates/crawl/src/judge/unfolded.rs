//! What a body unfolds to, as it comes.

use std::io::{self, ErrorKind, Read};

use bytes::Bytes;
use memmap2::MmapMut;

/// What is larger, in bytes, lies in a mapping of its own: it goes back to the system at once, whichever thread is done
/// with it. An allocator keeps it for the thread that had it.
const SMALL: usize = 1 << 20;

/// Room in a mapping, in bytes, where no less is allowed. What is never written to takes no memory.
const ROOM: usize = 64 << 20;

/// Bytes that come a piece at a time.
#[derive(Debug, Default)]
pub(super) struct Unfolded {
    small: Vec<u8>,
    large: Option<Mapping>,
}

#[derive(Debug)]
struct Mapping {
    map: MmapMut,
    length: usize,
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.map[..self.length]
    }
}

impl Unfolded {
    pub(super) fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Appends what `reader` holds, `piece` bytes at most, and says how many came. Fewer are all that there were. There
    /// will never be more than `most`.
    pub(super) fn fill(&mut self, reader: &mut impl Read, piece: usize, most: usize) -> io::Result<usize> {
        let wanted = self.len() + piece;
        if self.large.is_none() && wanted <= SMALL {
            self.small.reserve_exact(piece);
            return reader.take(piece as u64).read_to_end(&mut self.small);
        }
        let has_room = |mapping: &mut Mapping| wanted <= mapping.map.len();
        if !self.large.as_mut().is_some_and(has_room) {
            self.map(wanted.max(most.min(ROOM)))?;
        }
        let Some(Mapping { map, length }) = &mut self.large else {
            return Err(ErrorKind::OutOfMemory.into());
        };
        while *length < wanted {
            match reader.read(&mut map[*length..wanted]) {
                Ok(0) => break,
                Ok(read) => *length += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(piece - (wanted - *length))
    }

    /// Moves what there is to a mapping of `room` bytes.
    fn map(&mut self, room: usize) -> io::Result<()> {
        let mut map = MmapMut::map_anon(room)?;
        let length = self.len();
        map[..length].copy_from_slice(self.as_ref());
        *self = Self {
            small: Vec::new(),
            large: Some(Mapping { map, length }),
        };
        Ok(())
    }

    pub(super) fn into_bytes(self) -> Bytes {
        match self.large {
            Some(mapping) => Bytes::from_owner(mapping),
            None => self.small.into(),
        }
    }
}

impl AsRef<[u8]> for Unfolded {
    fn as_ref(&self) -> &[u8] {
        self.large.as_ref().map_or(&self.small, AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Is interrupted each time before bytes come, and fails in the end.
    struct Unsteady {
        left: usize,
        is_interrupted: bool,
    }

    impl Read for Unsteady {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.is_interrupted = !self.is_interrupted;
            if self.is_interrupted {
                return Err(ErrorKind::Interrupted.into());
            }
            if self.left == 0 {
                return Err(ErrorKind::InvalidData.into());
            }
            let read = buffer.len().min(self.left).min(1000);
            buffer[..read].fill(b'x');
            self.left -= read;
            Ok(read)
        }
    }

    #[test]
    fn an_interruption_is_no_error_and_an_error_ends_it() {
        for piece in [10_000, 2 * SMALL] {
            let mut reader = Unsteady {
                left: piece,
                is_interrupted: false,
            };
            let mut unfolded = Unfolded::default();
            assert_eq!(unfolded.fill(&mut reader, piece, usize::MAX).unwrap(), piece);
            assert_eq!(unfolded.len(), piece);
            let error = unfolded.fill(&mut reader, piece, usize::MAX).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{piece}");
        }
    }

    #[test]
    fn pieces_come_one_behind_the_other_whatever_room_there_was() {
        let text: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        for (piece, most) in [
            (700_000, 2_000_000),
            (100_000, usize::MAX),
            (1 << 20, 3_000_001),
            (4_000_000, 10),
        ] {
            let (mut unfolded, mut reader) = (Unfolded::default(), &text[..]);
            while unfolded.fill(&mut reader, piece, most).unwrap() == piece {}
            assert_eq!(unfolded.len(), text.len(), "{piece}");
            assert!(unfolded.into_bytes() == text, "{piece}");
        }
        let mut unfolded = Unfolded::default();
        assert_eq!(unfolded.fill(&mut &b"abc"[..], 100, 100).unwrap(), 3);
        assert_eq!(unfolded.into_bytes(), "abc");
    }
}
