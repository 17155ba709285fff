//! From the records of a frame to the bytes on the disk.

use std::fmt;
use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::{Compress, FlushCompress};
use zstd::zstd_safe::CParameter;

use crate::frame::Frame;
use crate::storage::{Compression, Format, Reach};
use crate::{table, warc};

/// zstd(1)'s `--long` looks back 128 MiB, which is what every decoder accepts.
const LONG_WINDOW_LOG: u32 = 27;

/// Deflate, no name, no time, and an operating system that is not told.
const GZIP_HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// What is written of a merged frame at once, in bytes.
const MERGE_BUFFER: usize = 256 << 10;

/// gzip(1)'s default.
const GZIP_LEVEL: u32 = 6;

/// Encodes frames of one format.
pub(crate) struct Encoder {
    format: Format,
    compression: Compression,
    /// A zstd context, which is large enough to be kept.
    zstd: Option<zstd::bulk::Compressor<'static>>,
    /// The same of deflate: an item has two members, and making the context costs more than they do.
    deflate: Compress,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("format", &self.format).finish()
    }
}

impl Encoder {
    pub(crate) fn new(format: Format, compression: Compression) -> Self {
        Self {
            format,
            compression,
            zstd: None,
            deflate: Compress::new(flate2::Compression::new(GZIP_LEVEL), false),
        }
    }

    /// Writes the bytes of `frame` to `out` in place of what was there.
    pub(crate) fn encode(&mut self, frame: &Frame, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        match self.format {
            Format::Ndjson => self.encode_zstd(&frame.records, out),
            Format::Warc => self.encode_members(&frame.records, &frame.members, out),
            Format::Parquet => table::encode(&frame.records, self.compression.level, out),
        }
    }

    /// Writes the records of `files`, each the bytes of a frame, to `out` as one frame. Only tables are merged.
    pub(crate) fn merge(&self, files: Vec<Bytes>, out: impl io::Write + Send) -> io::Result<()> {
        let mut out = io::BufWriter::with_capacity(MERGE_BUFFER, out);
        table::merge(files, self.compression.level, &mut out)?;
        out.flush()
    }

    /// What a segment begins with, before its first frame.
    pub(crate) fn preamble(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        if self.format == Format::Warc {
            let info = warc::info();
            self.encode_members(&info, &[info.len()], &mut out)?;
        }
        Ok(out)
    }

    /// A gzip member (RFC 1952 section 2.3) for each part of `records` that ends at one of `ends`.
    fn encode_members(&mut self, records: &[u8], ends: &[usize], out: &mut Vec<u8>) -> io::Result<()> {
        let mut from = 0;
        for &end in ends {
            let member = &records[from..end];
            out.extend_from_slice(GZIP_HEADER);
            self.deflate.reset();
            // As much as deflate needs where nothing can be compressed (RFC 1951 section 3.2.4), and more.
            out.reserve(member.len() + member.len() / 1000 + 64);
            match self.deflate.compress_vec(member, out, FlushCompress::Finish) {
                Ok(flate2::Status::StreamEnd) => {}
                Ok(_) => return Err(io::Error::other("deflate has not come to its end")),
                Err(error) => return Err(error.into()),
            }
            out.extend_from_slice(&crc32fast::hash(member).to_le_bytes());
            out.extend_from_slice(&(member.len() as u32).to_le_bytes());
            from = end;
        }
        Ok(())
    }

    /// One zstd frame with a checksum (RFC 8878 section 3.1.1).
    fn encode_zstd(&mut self, records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            vacant => vacant.insert(zstd_context(self.compression)?),
        };
        // Frames are of one size: room for more would never be used.
        out.reserve_exact(zstd::zstd_safe::compress_bound(records.len()));
        zstd.compress_to_buffer(records, out).map(drop)
    }
}

fn zstd_context(compression: Compression) -> io::Result<zstd::bulk::Compressor<'static>> {
    let mut zstd = zstd::bulk::Compressor::new(compression.level)?;
    zstd.include_checksum(true)?;
    if compression.reach == Reach::Long {
        zstd.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
        zstd.set_parameter(CParameter::WindowLog(LONG_WINDOW_LOG))?;
    }
    Ok(zstd)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn members_are_read_one_by_one_whatever_they_hold() {
        let mut noise: u32 = 7;
        let noise: Vec<u8> = (0..300_000)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            })
            .collect();
        let parts = [b"text ".repeat(1000), noise, Vec::new()];
        let ends: Vec<usize> = parts
            .iter()
            .scan(0, |end, part| {
                *end += part.len();
                Some(*end)
            })
            .collect();
        let compression = Compression {
            level: 3,
            reach: Reach::OfLevel,
        };
        let mut out = Vec::new();
        Encoder::new(Format::Warc, compression)
            .encode_members(&parts.concat(), &ends, &mut out)
            .unwrap();
        let mut rest = out.as_slice();
        for part in &parts {
            let mut member = flate2::bufread::GzDecoder::new(rest);
            let mut read = Vec::new();
            member.read_to_end(&mut read).unwrap();
            assert_eq!(&read, part);
            rest = member.into_inner();
        }
        assert!(rest.is_empty());
    }
}
