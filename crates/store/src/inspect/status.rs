//! How far a job has come, and what is missing.

use std::path::{Path, PathBuf};

use v6kit_base::{Code, Hint};
use v6kit_model::input::ItemsError;

use crate::description::Description;
use crate::inspect::reading::visit_order;
use crate::job_directory::JobDirectory;
use crate::ledger::{Catalog, Ledger, LedgerError, SqliteLedger, Standing};
use crate::segment::SegmentStore;

/// What a job directory holds.
#[derive(Debug)]
pub struct Status {
    /// The job.
    pub description: Description,
    /// How far it has come.
    pub standing: Standing,
    /// What the rest will take, once there is something to go by.
    pub forecast: Option<Forecast>,
    /// The words of the command that crawled here last; empty when none is known.
    pub invocation: Vec<String>,
    /// The first segment that is not as long as it was.
    pub lost: Option<LedgerError>,
}

/// What the rest of a job will take if it goes on as before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Bytes on the disk per item.
    pub bytes_per_item: f64,
    /// Bytes on the disk at the end.
    pub total_bytes: u64,
    /// Bytes that are still to come.
    pub bytes_left: u64,
    /// Bytes that are free where the job directory lies.
    pub free: Option<u64>,
    /// Items per second, lately.
    pub rate: Option<f64>,
    /// Seconds until the end at that rate.
    pub seconds_left: Option<f64>,
}

impl Forecast {
    /// A forecast from what was stored so far; `None` before the first commit.
    #[must_use]
    pub fn new(standing: &Standing, rate: Option<f64>, segments: &dyn SegmentStore) -> Option<Self> {
        // Items that are fetched again have two records for a while.
        let recorded = standing.done.sum() + standing.retrying;
        if recorded == 0 {
            return None;
        }
        let bytes_per_item = standing.bytes as f64 / recorded as f64;
        let left = standing.left() as f64;
        let bytes_left = (bytes_per_item * left) as u64;
        let rate = rate.filter(|rate| *rate > 0.0);
        Some(Self {
            bytes_per_item,
            total_bytes: standing.bytes + bytes_left,
            bytes_left,
            free: segments.room().ok().flatten().map(|room| room.free),
            rate,
            seconds_left: rate.map(|rate| left / rate),
        })
    }

    /// Whether the rest is larger than the room for it.
    #[must_use]
    pub fn exceeds_disk(&self) -> bool {
        self.free.is_some_and(|free| self.bytes_left > free)
    }
}

/// What a job directory holds.
///
/// # Errors
/// [`LedgerError`].
pub fn status(directory: &Path) -> Result<Status, LedgerError> {
    let job = JobDirectory::read(directory)?;
    let lost = job.require_segments().err();
    let JobDirectory { ledger, segments } = job;
    let standing = ledger.standing()?;
    let pace = ledger.recent_pace()?;
    let rate = (pace.seconds > 0.0).then(|| pace.records as f64 / pace.seconds);
    Ok(Status {
        description: ledger.description()?,
        forecast: Forecast::new(&standing, rate, &*segments),
        standing,
        invocation: ledger.invocation()?,
        lost,
    })
}

/// Why the missing items cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum MissingError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The job's items cannot be made from its description.
    #[error("the description of the job cannot be read")]
    Items(#[from] ItemsError),
}

impl Hint for MissingError {
    fn code(&self) -> Code {
        match self {
            Self::Ledger(error) => error.code(),
            Self::Items(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Ledger(error) => error.hint(),
            Self::Items(error) => error.hint(),
        }
    }
}

/// The items of a job without a record.
///
/// # Errors
/// [`MissingError`].
pub fn missing(directory: &Path) -> Result<Missing<impl Iterator<Item = (u64, String)>>, MissingError> {
    let ledger = SqliteLedger::read(directory)?;
    let (visit_order, description) = visit_order(&ledger)?;
    let items = description.items(directory)?;
    let ordinals: Vec<_> = ledger.missing()?.ranges().collect();
    let changed_list = description.changed_list();
    let items = ordinals.into_iter().flatten().map(move |ordinal| {
        let position = visit_order.position(ordinal);
        let mut url = String::new();
        items.write(position, &mut url);
        (position, url)
    });
    Ok(Missing { items, changed_list })
}

/// What a job lacks.
#[derive(Debug)]
pub struct Missing<I> {
    /// Position and URL, in the order of visiting.
    pub items: I,
    /// The file that the list came from, where it holds another list by now.
    pub changed_list: Option<PathBuf>,
}
