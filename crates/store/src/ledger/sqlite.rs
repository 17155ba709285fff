//! The ledger of one machine: SQLite in the job directory.

mod bookkeeping;
mod creation;
mod directory;
mod grown;
mod rows;
mod segments;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use v6kit_model::{Ordinals, Outcome};

use self::bookkeeping::{Bookkeeping, MOST_TAILS};
pub use self::creation::Invocation;
use self::directory::{FILE, Locked, lock, refuse_lost_ledger, require_ledger};
use self::rows::StoredFrame;
use super::accounts::{Accounts, Balance, Retry, forget};
use super::{
    Catalog, Commit, CommittedFrame, Extent, Fence, FramePlace, Lease, Leased, Ledger, LedgerError,
    RecentPace, Renewal, Standing,
};
use crate::description::Description;

/// How many rows tell the recent pace.
const RECENT_ROWS: u64 = 200;

/// A ledger in a job directory. Leases live in memory: the directory is locked, and whatever a crawl that
/// died had leased is open again for the next one.
#[derive(Debug)]
pub struct SqliteLedger {
    directory: PathBuf,
    database: Mutex<Connection>,
    work: Mutex<Bookkeeping>,
    _lock: Option<Locked>,
}

impl SqliteLedger {
    /// Opens the ledger in `directory` for crawling, and makes both where there are none.
    ///
    /// # Errors
    /// [`LedgerError`], such as when the directory holds another job.
    pub fn open(directory: &Path, description: &Description, extent: Extent) -> Result<Self, LedgerError> {
        if let Some(ledger) = Self::begin(directory, description, extent, None)? {
            return Ok(ledger);
        }
        let ledger = Self::writable(directory)?;
        ledger.create_or_compare(description, extent)?;
        ledger.load()?;
        Ok(ledger)
    }

    /// Opens the ledger in `directory` for changes, whatever its job is.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn reopen(directory: &Path) -> Result<Self, LedgerError> {
        require_ledger(directory)?;
        let ledger = Self::writable(directory)?;
        ledger.check_format()?;
        ledger.load()?;
        Ok(ledger)
    }

    /// Opens the ledger in `directory` for reading, also while a crawl is running.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn read(directory: &Path) -> Result<Self, LedgerError> {
        let path = require_ledger(directory)?;
        let sqlite = |source| failed(directory, source);
        let database = open_for_reading(&path).map_err(sqlite)?;
        let ledger = Self::on(directory, database, None);
        ledger.check_format()?;
        ledger.load()?;
        Ok(ledger)
    }

    fn writable(directory: &Path) -> Result<Self, LedgerError> {
        Self::locked(directory, lock(directory)?)
    }

    fn locked(directory: &Path, lock: Locked) -> Result<Self, LedgerError> {
        let sqlite = |source| failed(directory, source);
        let database = Connection::open(directory.join(FILE)).map_err(sqlite)?;
        rows::configure(&database).map_err(|source| match no_room(&database) {
            Some(full) => LedgerError::directory(directory, full),
            None => failed(directory, source),
        })?;
        Ok(Self::on(directory, database, Some(lock)))
    }

    fn on(directory: &Path, database: Connection, lock: Option<Locked>) -> Self {
        Self {
            directory: directory.to_owned(),
            database: Mutex::new(database),
            work: Mutex::default(),
            _lock: lock,
        }
    }

    fn version(&self) -> Result<i64, LedgerError> {
        self.query(|database| rows::version(database))
    }

    /// Remembers the words of the command that crawls here, and those that say the same from wherever they are said.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn set_invocation(&self, words: &[String], options: &[String]) -> Result<(), LedgerError> {
        let [words, options] = Invocation { words, options }.texts();
        self.query(|database| rows::set_invocation(database, &words, &options))
    }

    /// The words that say from wherever they are said what the last crawl here did; those of its command, where an
    /// earlier release crawled, and empty when none are known.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn options(&self) -> Result<Vec<String>, LedgerError> {
        match self.query(rows::options)? {
            None => self.invocation(),
            Some(text) => serde_json::from_str(&text).map_err(|error| self.damaged(format!("run: {error}"))),
        }
    }

    /// Opens items again whose newest records have these outcomes; their records stand until there are
    /// newer ones.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn retry(&self, set_aside: Vec<(Outcome, Ordinals)>) -> Result<(), LedgerError> {
        let generation = self.work().generation + 1;
        let retries: Vec<Retry> = set_aside
            .into_iter()
            .filter(|(_, ordinals)| !ordinals.is_empty())
            .map(|(outcome, ordinals)| Retry {
                generation,
                outcome,
                ordinals,
            })
            .collect();
        self.query(|database| rows::add_retries(database, &retries))?;
        self.load()
    }

    /// Forgets `lost` frames, so that their items are open again, and says where others lie now.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn rearrange(
        &self,
        lost: &[FramePlace],
        moved: &[(FramePlace, FramePlace)],
    ) -> Result<(), LedgerError> {
        let mut retries = self.query(rows::retries)?;
        let frames = self.query(|database| rows::frames_within(database, &(0..u64::MAX)))?;
        for StoredFrame { generation, frame } in &frames {
            if lost.contains(&frame.place) {
                forget(&mut retries, *generation, frame);
            }
        }
        self.query(|database| rows::rearrange(database, lost, moved, &retries))?;
        self.load()
    }

    /// Frames of the present generation with fewer records than `records` and less than `bytes`.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn small_frames(&self, records: u64, bytes: u64) -> Result<Vec<CommittedFrame>, LedgerError> {
        let generation = self.work().generation;
        let found = self.query(|database| rows::small_frames(database, generation, records, bytes))?;
        Ok(found.into_iter().map(|stored| stored.frame).collect())
    }

    fn create_or_compare(&self, description: &Description, extent: Extent) -> Result<(), LedgerError> {
        if self.version()? == 0 {
            refuse_lost_ledger(&self.directory)?;
            let text = serde_json::json!(description).to_string();
            return self.query(|database| rows::create(database, &text, extent, None));
        }
        self.check_format()?;
        let differences = self.description()?.differences(description);
        if differences.is_empty() {
            Ok(())
        } else {
            Err(LedgerError::OtherJob {
                place: self.directory.display().to_string(),
                differences,
            })
        }
    }

    fn check_format(&self) -> Result<(), LedgerError> {
        match self.version()? {
            rows::VERSION => Ok(()),
            0 => Err(LedgerError::Missing {
                place: self.directory.display().to_string(),
            }),
            found => Err(LedgerError::Version {
                place: self.directory.display().to_string(),
                found,
            }),
        }
    }

    fn load(&self) -> Result<(), LedgerError> {
        let Balance {
            open,
            standing,
            generation,
            ..
        } = self.balance()?;
        *self.work() = Bookkeeping {
            open,
            standing,
            generation,
            ..Bookkeeping::default()
        };
        Ok(())
    }

    fn balance(&self) -> Result<Balance, LedgerError> {
        let accounts = self.query(|database| {
            let mut accounts = Accounts::new(rows::extent(database)?.visited);
            rows::for_each_frame(database, |stored| {
                accounts.add_frame(stored.generation, &stored.frame);
            })?;
            for retry in rows::retries(database)? {
                accounts.add_retry(retry);
            }
            Ok(accounts)
        })?;
        accounts.close().map_err(|what| self.damaged(what))
    }

    fn query<T>(&self, ask: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, LedgerError> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = ask(&mut database);
        asked.map_err(|source| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => self.damaged(source.to_string()),
            Some(ErrorCode::SystemIoFailure) => match no_room(&database) {
                Some(full) => LedgerError::Database {
                    place: self.directory.display().to_string(),
                    source: full.into(),
                },
                None => failed(&self.directory, source),
            },
            _ => failed(&self.directory, source),
        })
    }

    fn work(&self) -> MutexGuard<'_, Bookkeeping> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn damaged(&self, what: String) -> LedgerError {
        LedgerError::Damaged {
            place: self.directory.display().to_string(),
            what,
        }
    }
}

impl Catalog for SqliteLedger {
    fn description(&self) -> Result<Description, LedgerError> {
        let text = self.query(rows::description)?;
        serde_json::from_str(&text).map_err(|error| self.damaged(format!("job: {error}")))
    }

    fn extent(&self) -> Result<Extent, LedgerError> {
        self.query(rows::extent)
    }

    fn invocation(&self) -> Result<Vec<String>, LedgerError> {
        let text = self.query(rows::invocation)?;
        serde_json::from_str(&text).map_err(|error| self.damaged(format!("job: {error}")))
    }

    fn frames_within(&self, hull: Range<u64>) -> Result<Vec<(CommittedFrame, Ordinals)>, LedgerError> {
        let balance = self.balance()?;
        let stored = self.query(|database| rows::frames_within(database, &hull))?;
        let mut stale: BTreeMap<u32, Ordinals> = BTreeMap::new();
        Ok(stored
            .into_iter()
            .map(|StoredFrame { generation, frame }| {
                let stale = stale
                    .entry(generation)
                    .or_insert_with(|| balance.stale_in(generation))
                    .intersection(&frame.ordinals);
                (frame, stale)
            })
            .collect())
    }

    fn missing(&self) -> Result<Ordinals, LedgerError> {
        let balance = self.balance()?;
        Ok(balance.recorded.complement(0..balance.standing.total))
    }

    fn open_ordinals(&self) -> Result<Ordinals, LedgerError> {
        Ok(self.balance()?.open)
    }

    fn recent_pace(&self) -> Result<RecentPace, LedgerError> {
        let mut spans = self.query(|database| rows::recent(database, RECENT_ROWS))?;
        spans.sort_unstable_by_key(|(span, _)| span.start);
        let records = spans.iter().map(|(_, records)| records).sum();
        let busy = Ordinals::from_ranges(spans.into_iter().map(|(span, _)| span).collect());
        Ok(RecentPace {
            records,
            seconds: busy.count() as f64 / 1000.0,
        })
    }

    fn check(&self) -> Result<(), LedgerError> {
        let found = self.query(rows::quick_check)?;
        if found == "ok" {
            Ok(())
        } else {
            Err(self.damaged(found))
        }
    }

    fn segment_lengths(&self) -> Result<BTreeMap<u64, u64>, LedgerError> {
        self.query(rows::segment_lengths)
    }
}

impl Ledger for SqliteLedger {
    fn lease(&self, want: u64) -> Result<Leased, LedgerError> {
        let mut work = self.work();
        let ordinals = work.open.take(want);
        if ordinals.is_empty() {
            // What other shards hold comes back only with the end of this process.
            return Ok(Leased::Done);
        }
        work.last_fence += 1;
        let fence = Fence(work.last_fence);
        work.leases.insert(fence, ordinals.clone());
        Ok(Leased::Lease(Lease {
            ordinals,
            fence,
            until: None,
            open_after: work.open.count(),
        }))
    }

    fn renew(&self, fence: Fence) -> Result<Renewal, LedgerError> {
        Ok(if self.work().leases.contains_key(&fence) {
            Renewal::Until(None)
        } else {
            Renewal::Lost
        })
    }

    fn release(&self, fence: Fence) -> Result<(), LedgerError> {
        let mut work = self.work();
        if let Some(left) = work.leases.remove(&fence) {
            work.open.add(&left);
        }
        Ok(())
    }

    fn commit(&self, frame: &CommittedFrame, fences: &[Fence]) -> Result<Commit, LedgerError> {
        let work = self.work();
        if work.is_committed(frame) {
            return Ok(Commit::Already);
        }
        if !work.holds(&frame.ordinals, fences) {
            return Ok(Commit::Fenced);
        }
        let (row, joined) = work.row_for(frame);
        // A segment is one shard's, but the row of frames of which nothing is kept is everybody's: nobody else may build upon
        // what it was before.
        let held = frame.place.is_nowhere().then_some(work);
        self.query(|database| rows::put_frame(database, &row))?;
        let mut work = held.unwrap_or_else(|| self.work());
        work.settle(&frame.ordinals, fences);
        work.tails.insert(frame.place.segment, row);
        if work.tails.len() > MOST_TAILS {
            work.tails.pop_first();
        }
        let standing = &mut work.standing;
        standing.done.add_all(&frame.counts);
        standing.frames += u64::from(!joined);
        standing.bytes += frame.place.length;
        standing.segments += u64::from(frame.place.offset == 0 && !frame.place.is_nowhere());
        Ok(Commit::Recorded)
    }

    fn replace(&self, old: &[FramePlace], merged: &CommittedFrame) -> Result<bool, LedgerError> {
        let replaced = self.query(|database| rows::replace(database, old, merged))?;
        if replaced.is_none() {
            return Ok(false);
        }
        let mut work = self.work();
        let standing = &mut work.standing;
        for place in old {
            standing.frames -= 1;
            standing.bytes -= place.length;
            standing.segments -= u64::from(place.offset == 0);
        }
        standing.frames += 1;
        standing.bytes += merged.place.length;
        standing.segments += u64::from(merged.place.offset == 0);
        for place in old {
            work.tails.remove(&place.segment);
        }
        Ok(true)
    }

    fn standing(&self) -> Result<Standing, LedgerError> {
        Ok(self.work().standing)
    }
}

/// What the system said of a write that found no room, where SQLite calls it a failure of the disk: it knows of ENOSPC,
/// and not of quotas and limits on the size of files.
#[allow(unsafe_code, reason = "rusqlite does not tell the error number of the system")]
fn no_room(database: &Connection) -> Option<io::Error> {
    // SAFETY: the handle is that of an open connection, which nobody else uses meanwhile.
    let number = unsafe { rusqlite::ffi::sqlite3_system_errno(database.handle()) };
    matches!(number, libc::EDQUOT | libc::EFBIG | libc::ENOSPC).then(|| io::Error::from_raw_os_error(number))
}

fn failed(directory: &Path, source: rusqlite::Error) -> LedgerError {
    LedgerError::Database {
        place: directory.display().to_string(),
        source: source.into(),
    }
}

/// A database that may be read, and perhaps not written to: then nobody else writes to it either, and without a log
/// beside it, it is read as it is (immutable; the SQLite documentation, "Write-Ahead Logging", section 5).
fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let ask = |database: Connection| {
        database.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(database)
    };
    let opened = Connection::open_with_flags(path, flags).and_then(ask);
    let is_denied = matches!(&opened, Err(error) if matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
    ));
    let log = path.with_file_name(format!("{FILE}-wal"));
    let has_log = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
    if !is_denied || has_log {
        return opened;
    }
    let mut uri = "file:".to_owned();
    uri.extend(percent_encoding::percent_encode(
        path.as_os_str().as_encoded_bytes(),
        percent_encoding::NON_ALPHANUMERIC,
    ));
    Connection::open_with_flags(uri + "?immutable=1", flags).and_then(ask)
}
