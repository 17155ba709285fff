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

/// The room for a record that is kept for the next, in bytes.
const LARGEST_KEPT: usize = 1 << 20;

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
    /// The name of the warcinfo record of the file that is being written.
    info: String,
    /// A record with that name.
    member: Vec<u8>,
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
            info: String::new(),
            member: Vec::new(),
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

    /// What the file called `file` begins with, before its first frame. What is encoded from now on is for it.
    pub(crate) fn preamble(&mut self, file: &str) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        if self.format == Format::Warc {
            self.info = warc::info_id();
            self.encode_member(&warc::info(&self.info, file), &mut out)?;
        }
        Ok(out)
    }

    /// A gzip member for each part of `records` that ends at one of `ends`, as records of the present file.
    fn encode_members(&mut self, records: &[u8], ends: &[usize], out: &mut Vec<u8>) -> io::Result<()> {
        let mut member = std::mem::take(&mut self.member);
        let mut from = 0;
        for &end in ends {
            member.clear();
            warc::push_with_info(&records[from..end], &self.info, &mut member);
            self.encode_member(&member, out)?;
            from = end;
        }
        // One large body must not be paid for until the end.
        if member.capacity() <= LARGEST_KEPT {
            self.member = member;
        }
        Ok(())
    }

    /// A gzip member (RFC 1952 section 2.3).
    fn encode_member(&mut self, member: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
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
        let compression = Compression {
            level: 3,
            reach: Reach::OfLevel,
        };
        let mut encoder = Encoder::new(Format::Warc, compression);
        let mut out = Vec::new();
        for part in &parts {
            encoder.encode_member(part, &mut out).unwrap();
        }
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
