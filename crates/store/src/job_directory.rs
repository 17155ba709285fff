//! A job in a directory: its ledger, and its segments beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use v6kit_model::input::List;

use crate::description::Description;
use crate::ledger::{Catalog, Extent, Invocation, LedgerError, SqliteLedger};
use crate::segment::{Reserve, SegmentDirectory, SegmentStore};

/// A job whose ledger and segments lie in one directory.
#[derive(Debug, Clone)]
pub struct JobDirectory {
    /// Which items are done, and where their records lie.
    pub ledger: Arc<SqliteLedger>,
    /// The records.
    pub segments: Arc<SegmentDirectory>,
}

impl JobDirectory {
    /// Makes a job in `directory` and opens it for crawling; `None` where there is one.
    ///
    /// # Errors
    /// [`LedgerError`], such as when files of others lie there.
    pub fn begin(
        directory: &Path,
        description: &Description,
        extent: Extent,
        invocation: Invocation<'_>,
    ) -> Result<Option<Self>, LedgerError> {
        SqliteLedger::begin(directory, description, extent, Some(invocation))?
            .map(|ledger| Self::writable(directory, ledger))
            .transpose()
    }

    /// Opens `directory` for crawling, and makes it where there is none. Segments are cut back to their last
    /// committed frame.
    ///
    /// # Errors
    /// [`LedgerError`], such as when the directory holds another job.
    pub fn open(directory: &Path, description: &Description, extent: Extent) -> Result<Self, LedgerError> {
        let job = Self::writable(directory, SqliteLedger::open(directory, description, extent)?)?;
        job.require_segments()?;
        job.require_own_segments()?;
        job.discard_uncommitted()?;
        Ok(job)
    }

    /// [`JobDirectory::open`], also where the job's list was shorter when it began than `list` is, which begins with
    /// it: the job is as large as `extent` from now on.
    ///
    /// # Errors
    /// [`LedgerError`], such as when the list does not begin with that of the job.
    pub fn append(
        directory: &Path,
        description: &Description,
        extent: Extent,
        list: &List,
    ) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::directory(directory, source);
        let grow = |before: &Description| -> Result<(), LedgerError> {
            let identity = before.get(Description::LIST).unwrap_or_default();
            if list.begins_with(identity).map_err(failed)? {
                // The copy first: with the old ledger it is of no use, and no harm.
                return list.replace_copy(directory).map_err(failed);
            }
            Err(LedgerError::NotGrown {
                place: directory.display().to_string(),
            })
        };
        // Nothing has been changed where these are not its own.
        if let Ok(job) = Self::read(directory) {
            job.require_segments()?;
            job.require_own_segments()?;
        }
        let ledger = SqliteLedger::open_grown(directory, description, extent, grow)?;
        let job = Self::writable(directory, ledger)?;
        job.discard_uncommitted()?;
        Ok(job)
    }

    /// Opens `directory` for changes, whatever its job is.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn reopen(directory: &Path) -> Result<Self, LedgerError> {
        let job = Self::writable(directory, SqliteLedger::reopen(directory)?)?;
        job.discard_uncommitted()?;
        Ok(job)
    }

    /// Opens `directory` for reading, also while a crawl is running.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn read(directory: &Path) -> Result<Self, LedgerError> {
        Self::of(directory, SqliteLedger::read(directory)?)
    }

    fn of(directory: &Path, ledger: SqliteLedger) -> Result<Self, LedgerError> {
        let segments = SegmentDirectory::new(directory, ledger.description()?.format());
        Ok(Self {
            ledger: Arc::new(ledger),
            segments: Arc::new(segments),
        })
    }

    fn writable(directory: &Path, ledger: SqliteLedger) -> Result<Self, LedgerError> {
        let segments = SegmentDirectory::new(directory, ledger.description()?.format());
        let ledger = Arc::new(ledger);
        let reserving = Arc::clone(&ledger);
        let reserve = move |number| reserving.reserve_segment(number).map_err(io::Error::other);
        let identity = ledger.identity()?;
        Ok(Self {
            ledger,
            segments: Arc::new(segments.reserving(identity, Reserve(Arc::new(reserve)))),
        })
    }

    fn discard_uncommitted(&self) -> Result<(), LedgerError> {
        self.segments
            .discard_uncommitted(&self.ledger.known_segments()?)
            .map_err(|source| LedgerError::directory(&self.directory(), source))?;
        self.ledger.forget_superseded()
    }

    /// Where the job lies.
    pub(crate) fn directory(&self) -> PathBuf {
        let path = self.segments.path(0);
        path.parent().map_or_else(PathBuf::new, Path::to_owned)
    }

    /// Whether this build can read the records: otherwise they would be taken for damaged.
    ///
    /// # Errors
    /// [`LedgerError::NotBuiltIn`].
    pub fn require_format(&self) -> Result<(), LedgerError> {
        let format = self.ledger.description()?.format();
        if format.is_built_in() {
            return Ok(());
        }
        Err(LedgerError::NotBuiltIn {
            place: self.directory().display().to_string(),
            format,
        })
    }

    /// Whether all that was committed is there, as far as the lengths of the files tell.
    ///
    /// # Errors
    /// [`LedgerError::SegmentLost`] with the first that is not.
    pub fn require_segments(&self) -> Result<(), LedgerError> {
        for (number, length) in self.ledger.segment_lengths()? {
            let path = self.segments.path(number);
            if !fs::metadata(&path).is_ok_and(|file| file.len() >= length) {
                return Err(LedgerError::SegmentLost {
                    place: self.directory().display().to_string(),
                    segment: path.display().to_string(),
                });
            }
        }
        Ok(())
    }

    /// Whether the segments are those that the ledger tells of: one may be of another job, or the ledger may be. They
    /// are compared by their last row, which is not read where it is large and the length is right.
    ///
    /// # Errors
    /// [`LedgerError::SegmentForeign`] with the first that is not.
    pub fn require_own_segments(&self) -> Result<(), LedgerError> {
        let place = self.directory();
        let foreign = self.segments.first_foreign(&self.ledger.committed_segments()?);
        match foreign.map_err(|source| LedgerError::directory(&place, source))? {
            None => Ok(()),
            Some(number) => Err(LedgerError::SegmentForeign {
                place: place.display().to_string(),
                segment: self.segments.name(number),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::contract::{HUNDRED, description, frame, leased};
    use crate::ledger::{Commit, Ledger};

    #[test]
    fn segments_are_cut_back_to_what_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let job = JobDirectory::open(directory.path(), &description("a"), HUNDRED).unwrap();
        let path = |number| job.segments.path(number);
        fs::write(path(1), [0; 25]).unwrap();
        fs::write(path(2), []).unwrap();
        job.ledger.reserve_segment(2).unwrap();
        let lease = leased(&*job.ledger, 20);
        for mut frame in [frame(1, 0, 0..10), frame(1, 10, 10..20)] {
            frame.checksum = crc32fast::hash(&[0; 10]);
            assert_eq!(
                job.ledger.commit(&frame, &[lease.fence]).unwrap(),
                Commit::Recorded
            );
        }
        let paths = (path(1), path(2));
        drop(job);
        let job = JobDirectory::open(directory.path(), &description("a"), HUNDRED).unwrap();
        assert_eq!(fs::metadata(paths.0).unwrap().len(), 20);
        assert!(!paths.1.exists());
        assert_eq!(job.segments.create().unwrap().append(b"x").unwrap().segment, 3);
    }
}
