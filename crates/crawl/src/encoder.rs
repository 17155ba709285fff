//! From the records of a frame to the bytes on the disk.

use std::fmt;
use std::io::{self, Write};

use flate2::write::GzEncoder;
use zstd::zstd_safe::CParameter;

use crate::frame::Frame;
use crate::storage::{Compression, Format, Reach};
use crate::{table, warc};

/// zstd(1)'s `--long` looks back 128 MiB, which is what every decoder accepts.
const LONG_WINDOW_LOG: u32 = 27;

/// gzip(1)'s default.
const GZIP_LEVEL: u32 = 6;

/// Encodes frames of one format.
pub(crate) struct Encoder {
    format: Format,
    compression: Compression,
    /// A zstd context, which is large enough to be kept.
    zstd: Option<zstd::bulk::Compressor<'static>>,
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
        }
    }

    /// Writes the bytes of `frame` to `out` in place of what was there.
    pub(crate) fn encode(&mut self, frame: &Frame, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        match self.format {
            Format::Ndjson => self.encode_zstd(&frame.records, out),
            Format::Warc => encode_members(&frame.records, &frame.members, out),
            Format::Parquet => table::encode(&frame.records, self.compression.level, out),
        }
    }

    /// What a segment begins with, before its first frame.
    pub(crate) fn preamble(&self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        if self.format == Format::Warc {
            let info = warc::info();
            encode_members(&info, &[info.len()], &mut out)?;
        }
        Ok(out)
    }

    /// One zstd frame with a checksum (RFC 8878 section 3.1.1).
    fn encode_zstd(&mut self, records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            vacant => vacant.insert(zstd_context(self.compression)?),
        };
        out.reserve(zstd::zstd_safe::compress_bound(records.len()));
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

/// A gzip member (RFC 1952 section 2.2) for each part of `records` that ends at one of `ends`.
fn encode_members(records: &[u8], ends: &[usize], out: &mut Vec<u8>) -> io::Result<()> {
    let mut from = 0;
    for &end in ends {
        let mut member = GzEncoder::new(&mut *out, flate2::Compression::new(GZIP_LEVEL));
        member.write_all(&records[from..end])?;
        member.finish()?;
        from = end;
    }
    Ok(())
}
