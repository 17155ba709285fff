//! The ledger of one machine: SQLite in the job directory.

mod directory;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::Flock;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use v6kit_model::{Ordinals, Outcome};

use self::directory::{FILE, lock, make_durable, refuse_foreign, require_ledger};
use self::rows::StoredFrame;
use super::accounts::{Accounts, Balance, Retry, forget};
use super::{Chunk, CommittedFrame, Extent, FramePlace, Ledger, LedgerError, RecentPace, Standing};
use crate::description::Description;
use crate::segment::Segment;
use crate::storage::Format;

/// Neighbouring frames share a row up to this many bytes: what is finished costs the ledger four rows per MiB,
/// however small the frames were.
const ROW_BYTES: u64 = 256 << 10;

/// ... and up to this many ranges of ordinals.
const ROW_RANGES: usize = 1000;

/// How many rows tell the recent pace.
const RECENT_ROWS: u64 = 200;

/// A ledger in a job directory. Leases live in memory: the directory is locked, and whatever a crawl that
/// died had leased is open again for the next one.
#[derive(Debug)]
pub struct SqliteLedger {
    directory: PathBuf,
    database: Mutex<Connection>,
    work: Mutex<Bookkeeping>,
    format: Format,
    next_segment: AtomicU64,
    /// Released by the kernel, however the process ends.
    _lock: Option<Flock<File>>,
}

#[derive(Debug, Default)]
struct Bookkeeping {
    open: Ordinals,
    standing: Standing,
    generation: u32,
    /// The last row of each segment that is being written.
    tails: HashMap<u64, StoredFrame>,
}

impl SqliteLedger {
    /// Opens the ledger in `directory` for crawling, and makes both where there are none. Segments are
    /// cut back to their last committed frame.
    ///
    /// # Errors
    /// [`LedgerError`], such as when the directory holds another job.
    pub fn open(directory: &Path, description: &Description, extent: Extent) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Directory {
            path: directory.to_owned(),
            source,
        };
        make_durable(directory).map_err(failed)?;
        refuse_foreign(directory)?;
        let mut ledger = Self::writable(directory)?;
        ledger.create_or_compare(description, extent)?;
        ledger.ready()?;
        Ok(ledger)
    }

    /// Opens the ledger in `directory` for changes, whatever its job is.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn reopen(directory: &Path) -> Result<Self, LedgerError> {
        require_ledger(directory)?;
        let mut ledger = Self::writable(directory)?;
        ledger.check_format()?;
        ledger.ready()?;
        Ok(ledger)
    }

    /// Opens the ledger in `directory` for reading, also while a crawl is running.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn read(directory: &Path) -> Result<Self, LedgerError> {
        let path = require_ledger(directory)?;
        let sqlite = |source| LedgerError::Sqlite {
            path: directory.to_owned(),
            source,
        };
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
        let mut ledger = Self::on(directory, database, None);
        ledger.check_format()?;
        ledger.format = ledger.description()?.format();
        ledger.load()?;
        Ok(ledger)
    }

    fn writable(directory: &Path) -> Result<Self, LedgerError> {
        let lock = lock(directory)?;
        let sqlite = |source| LedgerError::Sqlite {
            path: directory.to_owned(),
            source,
        };
        let database = Connection::open(directory.join(FILE)).map_err(sqlite)?;
        rows::configure(&database).map_err(sqlite)?;
        Ok(Self::on(directory, database, Some(lock)))
    }

    fn on(directory: &Path, database: Connection, lock: Option<Flock<File>>) -> Self {
        Self {
            directory: directory.to_owned(),
            database: Mutex::new(database),
            work: Mutex::default(),
            format: Format::default(),
            next_segment: AtomicU64::new(1),
            _lock: lock,
        }
    }

    fn ready(&mut self) -> Result<(), LedgerError> {
        self.format = self.description()?.format();
        self.load()?;
        self.cut_segments()
    }

    /// The job that the directory belongs to.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn description(&self) -> Result<Description, LedgerError> {
        let text = self.query(rows::description)?;
        serde_json::from_str(&text).map_err(|error| self.damaged(format!("job: {error}")))
    }

    /// The size of the job.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn extent(&self) -> Result<Extent, LedgerError> {
        self.query(rows::extent)
    }

    /// The words of the command that crawled here last; empty when none is known.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn invocation(&self) -> Result<Vec<String>, LedgerError> {
        let text = self.query(rows::invocation)?;
        serde_json::from_str(&text).map_err(|error| self.damaged(format!("job: {error}")))
    }

    /// Remembers the words of the command that crawls here.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn set_invocation(&self, words: &[String]) -> Result<(), LedgerError> {
        let text = serde_json::json!(words).to_string();
        self.query(|database| rows::set_invocation(database, &text))
    }

    /// The committed frames with records of the ordinals in `hull`, in the order of their first ordinal, each
    /// with the set of those of its ordinals whose records are not the newest.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn frames_within(&self, hull: Range<u64>) -> Result<Vec<(CommittedFrame, Ordinals)>, LedgerError> {
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

    /// Ordinals that no record is committed of.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn missing(&self) -> Result<Ordinals, LedgerError> {
        let balance = self.balance()?;
        Ok(balance.recorded.complement(0..balance.standing.total))
    }

    /// Ordinals that are to be fetched, for the first time or again.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open_ordinals(&self) -> Result<Ordinals, LedgerError> {
        Ok(self.balance()?.open)
    }

    /// How fast records came lately.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn recent_pace(&self) -> Result<RecentPace, LedgerError> {
        let mut spans = self.query(|database| rows::recent(database, RECENT_ROWS))?;
        spans.sort_unstable_by_key(|(span, _)| span.start);
        let records = spans.iter().map(|(_, records)| records).sum();
        let busy = Ordinals::from_ranges(spans.into_iter().map(|(span, _)| span).collect());
        Ok(RecentPace {
            records,
            seconds: busy.count() as f64 / 1000.0,
        })
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

    /// Reads every page of the ledger.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] with what SQLite found.
    pub fn check(&self) -> Result<(), LedgerError> {
        let found = self.query(rows::quick_check)?;
        if found == "ok" {
            Ok(())
        } else {
            Err(self.damaged(found))
        }
    }

    /// The form of the segments.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The job directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file that a frame lies in.
    #[must_use]
    pub fn segment_path(&self, place: FramePlace) -> PathBuf {
        Segment::path(&self.directory, place.segment, self.format)
    }

    /// The committed length of every segment.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn segment_lengths(&self) -> Result<BTreeMap<u64, u64>, LedgerError> {
        self.query(rows::segment_lengths)
    }

    fn create_or_compare(&self, description: &Description, extent: Extent) -> Result<(), LedgerError> {
        if self.query(rows::version)? == 0 {
            let text = serde_json::json!(description).to_string();
            return self.query(|database| rows::create(database, &text, extent));
        }
        self.check_format()?;
        let differences = self.description()?.differences(description);
        if differences.is_empty() {
            Ok(())
        } else {
            Err(LedgerError::OtherJob {
                path: self.directory.clone(),
                differences,
            })
        }
    }

    fn check_format(&self) -> Result<(), LedgerError> {
        match self.query(rows::version)? {
            rows::VERSION => Ok(()),
            0 => Err(LedgerError::Missing {
                path: self.directory.clone(),
            }),
            found => Err(LedgerError::Version {
                path: self.directory.clone(),
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
            tails: HashMap::new(),
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

    /// Cuts segments back to their last committed frame, and removes those without one.
    fn cut_segments(&self) -> Result<(), LedgerError> {
        let committed = self.segment_lengths()?;
        let failed = |source| LedgerError::Directory {
            path: self.directory.clone(),
            source,
        };
        let mut last = committed.keys().last().copied().unwrap_or(0);
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(number) = Segment::number_of(&path) else {
                continue;
            };
            last = last.max(number);
            match committed.get(&number) {
                Some(&length) => Segment::cut(&path, length).map_err(failed)?,
                None => fs::remove_file(&path).map_err(failed)?,
            }
        }
        self.next_segment.store(last + 1, Ordering::Relaxed);
        Ok(())
    }

    fn query<T>(&self, ask: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, LedgerError> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&mut database).map_err(|source| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => self.damaged(source.to_string()),
            _ => LedgerError::Sqlite {
                path: self.directory.clone(),
                source,
            },
        })
    }

    fn work(&self) -> MutexGuard<'_, Bookkeeping> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn damaged(&self, what: String) -> LedgerError {
        LedgerError::Damaged {
            path: self.directory.clone(),
            what,
        }
    }
}

impl Ledger for SqliteLedger {
    fn lease(&self, want: u64) -> Result<Option<Chunk>, LedgerError> {
        let mut work = self.work();
        let ordinals = work.open.take(want);
        Ok((!ordinals.is_empty()).then(|| Chunk {
            ordinals,
            open_after: work.open.count(),
        }))
    }

    fn commit(&self, frame: &CommittedFrame) -> Result<(), LedgerError> {
        let (row, joined) = self.work().row_for(frame);
        self.query(|database| rows::put_frame(database, &row))?;
        let mut work = self.work();
        work.tails.insert(frame.place.segment, row);
        let standing = &mut work.standing;
        standing.done.add_all(&frame.counts);
        standing.frames += u64::from(!joined);
        standing.bytes += frame.place.length;
        standing.segments += u64::from(frame.place.offset == 0);
        Ok(())
    }

    fn give_back(&self, ordinals: &Ordinals) -> Result<(), LedgerError> {
        self.work().open.add(ordinals);
        Ok(())
    }

    fn standing(&self) -> Result<Standing, LedgerError> {
        Ok(self.work().standing)
    }

    fn next_segment(&self) -> u64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }
}

impl Bookkeeping {
    /// The row that holds `frame`: the one before it when they are neighbours and small.
    fn row_for(&self, frame: &CommittedFrame) -> (StoredFrame, bool) {
        let joined = self
            .tails
            .get(&frame.place.segment)
            .and_then(|tail| tail.joined_with(frame));
        match joined {
            Some(row) => (row, true),
            None => {
                let row = StoredFrame {
                    generation: self.generation,
                    frame: frame.clone(),
                };
                (row, false)
            }
        }
    }
}

impl StoredFrame {
    fn joined_with(&self, next: &CommittedFrame) -> Option<Self> {
        let mut row = self.clone();
        let FramePlace { offset, length, .. } = row.frame.place;
        let is_neighbour = offset + length == next.place.offset && length + next.place.length <= ROW_BYTES;
        if !is_neighbour || row.frame.ordinals.range_count() > ROW_RANGES {
            return None;
        }
        let mut checksum = crc32fast::Hasher::new_with_initial_len(row.frame.checksum, length);
        checksum.combine(&crc32fast::Hasher::new_with_initial_len(
            next.checksum,
            next.place.length,
        ));
        row.frame.checksum = checksum.finalize();
        row.frame.place.length += next.place.length;
        row.frame.ordinals.add(&next.ordinals);
        row.frame.counts.add_all(&next.counts);
        row.frame.span.end = next.span.end;
        Some(row)
    }
}
