//! Reading segments back, whatever their format: every record as the line that ndjson has for it.

use std::io::{self, BufRead, BufReader, Read};

use v6kit_base::{Code, Hint};
use v6kit_model::VisitOrder;

use crate::description::Description;
use crate::ledger::{Catalog, CommittedFrame, LedgerError};
use crate::segment::SegmentStore;
use crate::storage::Format;
use crate::table;
use crate::warc::WarcReader;

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A committed frame cannot be read.
    #[error("{segment} cannot be read at byte {offset}")]
    Frame {
        /// The segment, in words.
        segment: String,
        /// Where the frame begins.
        offset: u64,
        /// What was wrong.
        #[source]
        source: io::Error,
    },
    /// The job was asked to keep none.
    #[error("the job keeps no records (--store none)")]
    NotKept,
    /// Whoever reads the records does not take them.
    #[error("the records cannot be written")]
    Output(#[source] io::Error),
}

impl Hint for ReadError {
    fn code(&self) -> Code {
        match self {
            Self::Ledger(error) => error.code(),
            Self::Frame { .. } => Code::RecordsDamaged,
            Self::NotKept => Code::NotKept,
            Self::Output(_) => Code::Output,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Ledger(error) => error.hint(),
            Self::Frame { .. } => Some(
                "crawl check says what is damaged, and with --repair it is fetched again: `v6kit help crawl check`".to_owned(),
            ),
            Self::NotKept => Some(
                "crawl status says how many ended in which way: `v6kit help crawl status`; to keep records, crawl into \
                 another directory without --store none"
                    .to_owned(),
            ),
            Self::Output(_) => None,
        }
    }
}

/// Where the lines of a frame go; it says whether it wants more.
pub(crate) type Take<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), ReadError>;

/// Gives the records of a frame, a line each with its line break.
pub(crate) fn for_each_line(
    segments: &dyn SegmentStore,
    format: Format,
    frame: &CommittedFrame,
    take: Take<'_>,
) -> Result<(), ReadError> {
    let failed = |source| ReadError::Frame {
        segment: segments.name(frame.place.segment),
        offset: frame.place.offset,
        source,
    };
    let bytes = BufReader::with_capacity(128 << 10, segments.open(frame.place).map_err(failed)?);
    match format {
        Format::Ndjson => {
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(failed)?;
            let mut records = BufReader::with_capacity(128 << 10, decoder);
            let mut line = Vec::new();
            loop {
                line.clear();
                if records.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                    return Ok(());
                }
                take(&line)?;
            }
        }
        Format::Warc => {
            let mut records = BufReader::new(flate2::bufread::MultiGzDecoder::new(bytes));
            let mut reader = WarcReader::default();
            while let Some(line) = reader.next(&mut records).map_err(failed)? {
                take(line)?;
            }
            Ok(())
        }
        Format::Parquet => {
            let mut file = Vec::new();
            let mut bytes = bytes;
            bytes.read_to_end(&mut file).map_err(failed)?;
            table::for_each_line(file.into(), |line| take(line).map_err(Interruption::Taker)).map_err(
                |error| match error {
                    Interruption::Taker(error) => error,
                    Interruption::File(error) => failed(error),
                },
            )
        }
    }
}

/// Whether `frame` could not be read because a crawl that is running has merged it with others since it was looked
/// up: its file is gone, and so is its row.
pub(crate) fn is_replaced(
    ledger: &dyn Catalog,
    frame: &CommittedFrame,
    error: &ReadError,
) -> Result<bool, LedgerError> {
    let ReadError::Frame { source, .. } = error else {
        return Ok(false);
    };
    if source.kind() != io::ErrorKind::NotFound {
        return Ok(false);
    }
    let hull = frame.ordinals.hull().unwrap_or(0..0);
    let found = ledger.frames_within(hull)?;
    Ok(found.iter().all(|(found, _)| found.place != frame.place))
}

/// Why a Parquet file is not read to its end.
enum Interruption {
    Taker(ReadError),
    File(io::Error),
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// How ordinals and positions of the job in a directory belong together.
pub(crate) fn visit_order(ledger: &dyn Catalog) -> Result<(VisitOrder, Description), LedgerError> {
    let description = ledger.description()?;
    let visit_order = VisitOrder::new(description.order(), ledger.extent()?.items);
    Ok((visit_order, description))
}
