//! How files are packed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Packing {
    /// By the magic number (RFC 1952 section 2.3.1, RFC 8878 section 3.1.1).
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// How `file` is packed.
pub(super) fn packing(file: &File) -> io::Result<Packing> {
    let mut start = [0; 4];
    let read = file.read_at(&mut start, 0)?;
    Ok(Packing::of(&start[..read]))
}
