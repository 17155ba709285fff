//! Lists that are packed, or can be read only once.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;

use super::{BUFFER, ListError};
use crate::input::packing::Packing;

/// Writes what `input` holds, unpacked and at most `most` bytes, to a file without a name in `directory`, and says how it
/// was packed.
pub(super) fn unpack(
    mut input: impl Read,
    directory: &Path,
    what: &str,
    most: u64,
) -> Result<(File, Packing), ListError> {
    let unreadable = |source| ListError::Read {
        what: what.to_owned(),
        source,
    };
    let failed = |source| ListError::Unpack {
        what: what.to_owned(),
        directory: directory.to_owned(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut spool = tempfile::tempfile_in(directory).map_err(failed)?;
    let mut start = Vec::new();
    (&mut input).take(4).read_to_end(&mut start).map_err(unreadable)?;
    let packing = Packing::of(&start);
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(start).chain(input));
    let mut unpacked: Box<dyn Read> = match packing {
        Packing::None => Box::new(whole),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(whole).map_err(unreadable)?),
    };
    let mut buffer = vec![0; BUFFER];
    let mut left = most;
    loop {
        let read = unpacked.read(&mut buffer).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        let Some(rest) = left.checked_sub(read as u64) else {
            let what = what.to_owned();
            return Err(ListError::TooLarge { what, most });
        };
        left = rest;
        spool.write_all(&buffer[..read]).map_err(failed)?;
    }
    spool.rewind().map_err(failed)?;
    Ok((spool, packing))
}
