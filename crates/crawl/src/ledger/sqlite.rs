//! The ledger of one machine: SQLite in the job directory.

mod rows;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use self::rows::StoredFrame;
use super::accounts::{Accounts, Balance, Retry, forget};
use super::{Chunk, CommittedFrame, Extent, FramePlace, Ledger, LedgerError, RecentPace, Standing};
use crate::job::Description;
use crate::outcome::Outcome;
use crate::segment::Segment;
use crate::storage::Format;
use crate::turns::Turns;

const FILE: &str = "ledger.sqlite";
const LOCK: &str = "lock";

/// Neighbouring frames share a row up to this many bytes: what is finished costs the ledger four rows per MiB,
/// however small the frames were.
const ROW_BYTES: u64 = 256 << 10;

/// ... and up to this many ranges of turns.
const ROW_RANGES: usize = 1000;

/// How many rows tell the recent pace.
const RECENT_ROWS: u64 = 200;

/// A ledger in a job directory. Leases live in memory: the directory is locked, and whatever a crawl that
/// died had leased is open again for the next one.
#[derive(Debug)]
pub struct SqliteLedger {
    directory: PathBuf,
    database: Mutex<Connection>,
    work: Mutex<Work>,
    format: Format,
    next_segment: AtomicU64,
    /// Released by the kernel, however the process ends.
    _lock: Option<Flock<File>>,
}

#[derive(Debug, Default)]
struct Work {
    open: Turns,
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
        fs::create_dir_all(directory).map_err(failed)?;
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

    /// The committed frames with records of the turns in `hull`, in the order of their first turn, each
    /// with the set of those of its turns whose records are not the newest.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn frames_within(&self, hull: Range<u64>) -> Result<Vec<(CommittedFrame, Turns)>, LedgerError> {
        let balance = self.balance()?;
        let stored = self.query(|database| rows::frames_within(database, &hull))?;
        let mut stale: BTreeMap<u32, Turns> = BTreeMap::new();
        Ok(stored
            .into_iter()
            .map(|StoredFrame { generation, frame }| {
                let stale = stale
                    .entry(generation)
                    .or_insert_with(|| balance.stale_in(generation))
                    .intersection(&frame.turns);
                (frame, stale)
            })
            .collect())
    }

    /// Turns that no record is committed of.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn missing(&self) -> Result<Turns, LedgerError> {
        let balance = self.balance()?;
        Ok(balance.recorded.complement(0..balance.standing.total))
    }

    /// Turns that are to be fetched, for the first time or again.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open_turns(&self) -> Result<Turns, LedgerError> {
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
        let busy = Turns::from_ranges(spans.into_iter().map(|(span, _)| span).collect());
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
    pub fn retry(&self, set_aside: Vec<(Outcome, Turns)>) -> Result<(), LedgerError> {
        let generation = self.work().generation + 1;
        let retries: Vec<Retry> = set_aside
            .into_iter()
            .filter(|(_, turns)| !turns.is_empty())
            .map(|(outcome, turns)| Retry {
                generation,
                outcome,
                turns,
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
        *self.work() = Work {
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

    fn work(&self) -> MutexGuard<'_, Work> {
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
        let turns = work.open.take(want);
        Ok((!turns.is_empty()).then(|| Chunk {
            turns,
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

    fn give_back(&self, turns: &Turns) -> Result<(), LedgerError> {
        self.work().open.add(turns);
        Ok(())
    }

    fn standing(&self) -> Result<Standing, LedgerError> {
        Ok(self.work().standing)
    }

    fn next_segment(&self) -> u64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }
}

impl Work {
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
        if !is_neighbour || row.frame.turns.range_count() > ROW_RANGES {
            return None;
        }
        let mut checksum = crc32fast::Hasher::new_with_initial_len(row.frame.checksum, length);
        checksum.combine(&crc32fast::Hasher::new_with_initial_len(
            next.checksum,
            next.place.length,
        ));
        row.frame.checksum = checksum.finalize();
        row.frame.place.length += next.place.length;
        row.frame.turns.add(&next.turns);
        row.frame.counts.add_all(&next.counts);
        row.frame.span.end = next.span.end;
        Some(row)
    }
}

/// The ledger's file, which must be there.
fn require_ledger(directory: &Path) -> Result<PathBuf, LedgerError> {
    let path = directory.join(FILE);
    if path.exists() {
        Ok(path)
    } else {
        Err(LedgerError::Missing {
            path: directory.to_owned(),
        })
    }
}

/// A directory with files and no ledger belongs to somebody else.
fn refuse_foreign(directory: &Path) -> Result<(), LedgerError> {
    let failed = |source| LedgerError::Directory {
        path: directory.to_owned(),
        source,
    };
    if directory.join(FILE).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != LOCK {
            return Err(LedgerError::Foreign {
                path: directory.to_owned(),
            });
        }
    }
    Ok(())
}

fn lock(directory: &Path) -> Result<Flock<File>, LedgerError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join(LOCK))
        .map_err(|source| LedgerError::Directory {
            path: directory.to_owned(),
            source,
        })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => LedgerError::Locked {
            path: directory.to_owned(),
        },
        errno => LedgerError::Directory {
            path: directory.to_owned(),
            source: io::Error::from(errno),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Counts;

    const HUNDRED: Extent = Extent {
        items: 100,
        visited: 100,
    };

    fn description(url: &str) -> Description {
        serde_json::from_value(serde_json::json!({ "url": url })).unwrap()
    }

    fn frame(segment: u64, offset: u64, turns: Range<u64>) -> CommittedFrame {
        let mut counts = Counts::default();
        turns.clone().for_each(|_| counts.add(Outcome::Ok));
        CommittedFrame {
            place: FramePlace {
                segment,
                offset,
                length: 10,
            },
            turns: Turns::from_range(turns),
            counts,
            span: 0..1,
            checksum: 0,
        }
    }

    #[test]
    fn what_is_committed_is_never_leased_again() {
        let directory = tempfile::tempdir().unwrap();
        let job = description("a");
        let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
        assert_eq!(ledger.lease(40).unwrap().unwrap().turns, Turns::from_range(0..40));
        ledger.commit(&frame(1, 0, 0..30)).unwrap();
        drop(ledger);
        let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
        assert_eq!(ledger.standing().unwrap().left(), 70);
        let chunk = ledger.lease(1000).unwrap().unwrap();
        assert_eq!((chunk.turns, chunk.open_after), (Turns::from_range(30..100), 0));
        assert_eq!(ledger.lease(1).unwrap(), None);
        ledger.give_back(&Turns::from_range(50..60)).unwrap();
        assert_eq!(
            ledger.lease(1000).unwrap().unwrap().turns,
            Turns::from_range(50..60)
        );
    }

    #[test]
    fn another_job_is_refused_with_the_difference() {
        let directory = tempfile::tempdir().unwrap();
        drop(SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap());
        let error = SqliteLedger::open(directory.path(), &description("b"), HUNDRED).unwrap_err();
        assert!(
            error.to_string().ends_with("url was `a` and is `b` now"),
            "{error}"
        );
    }

    #[test]
    fn a_second_crawl_in_the_same_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _first = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap();
        let error = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap_err();
        assert!(matches!(error, LedgerError::Locked { .. }), "{error}");
        assert_eq!(
            SqliteLedger::read(directory.path())
                .unwrap()
                .standing()
                .unwrap()
                .total,
            100
        );
    }

    #[test]
    fn somebody_elses_directory_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("thesis.txt"), "mine").unwrap();
        let error = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap_err();
        assert!(matches!(error, LedgerError::Foreign { .. }), "{error}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn segments_are_cut_back_to_what_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let job = description("a");
        let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
        let path = |number| Segment::path(directory.path(), number, Format::Ndjson);
        fs::write(path(1), [1; 25]).unwrap();
        fs::write(path(2), [1; 5]).unwrap();
        ledger.commit(&frame(1, 0, 0..10)).unwrap();
        ledger.commit(&frame(1, 10, 10..20)).unwrap();
        drop(ledger);
        let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
        assert_eq!(fs::metadata(path(1)).unwrap().len(), 20);
        assert!(!path(2).exists());
        assert_eq!(ledger.next_segment(), 3);
    }

    #[test]
    fn retried_items_are_leased_once_more_and_stand_until_then() {
        let directory = tempfile::tempdir().unwrap();
        let job = description("a");
        let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
        ledger.lease(100).unwrap();
        ledger.commit(&frame(1, 0, 0..100)).unwrap();
        let scattered = Turns::from_list(&mut [3, 5, 90]);
        ledger.retry(vec![(Outcome::Ok, scattered.clone())]).unwrap();
        let standing = ledger.standing().unwrap();
        assert_eq!((standing.left(), standing.retrying), (3, 3));
        assert_eq!(ledger.lease(9).unwrap().unwrap().turns, scattered);
        assert!(ledger.missing().unwrap().is_empty());
        let again = CommittedFrame {
            turns: scattered.clone(),
            counts: Counts::of_one(Outcome::Ok, 3),
            ..frame(2, 0, 0..1)
        };
        ledger.commit(&again).unwrap();
        drop(ledger);
        let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
        assert_eq!(ledger.lease(9).unwrap(), None);
        let frames = ledger.frames_within(0..100).unwrap();
        assert_eq!((&frames[0].1, &frames[1].1), (&scattered, &Turns::default()));
    }

    #[test]
    fn a_lost_frame_leaves_its_items_open() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap();
        ledger.commit(&frame(1, 0, 0..50)).unwrap();
        ledger.commit(&frame(2, 0, 50..100)).unwrap();
        let place = |segment| FramePlace {
            segment,
            offset: 0,
            length: 10,
        };
        ledger.rearrange(&[place(1)], &[(place(2), place(3))]).unwrap();
        assert_eq!(
            ledger.lease(100).unwrap().unwrap().turns,
            Turns::from_range(0..50)
        );
        assert_eq!(ledger.frames_within(0..100).unwrap()[0].0.place, place(3));
    }

    #[test]
    fn a_billion_items_in_chunks_of_a_hundred_stay_a_small_ledger() {
        let directory = tempfile::tempdir().unwrap();
        let billion = Extent {
            items: 1_000_000_000,
            visited: 1_000_000_000,
        };
        let ledger = SqliteLedger::open(directory.path(), &description("a"), billion).unwrap();
        // Two shards in turn, whose chunks interleave.
        let mut offsets = [0; 2];
        for number in 0..1000 {
            let shard = number as usize % 2;
            let turns = ledger.lease(100).unwrap().unwrap().turns;
            ledger
                .commit(&CommittedFrame {
                    place: FramePlace {
                        segment: shard as u64 + 1,
                        offset: offsets[shard],
                        length: 6000,
                    },
                    counts: Counts::of_one(Outcome::Ok, turns.count()),
                    turns,
                    span: number..number + 1,
                    checksum: 0,
                })
                .unwrap();
            offsets[shard] += 6000;
        }
        let size: u64 = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(size < 1_000_000, "{size} bytes");
        assert_eq!(ledger.standing().unwrap().done.sum(), 100_000);
        assert!(ledger.standing().unwrap().frames < 40, "neighbours are merged");
        assert_eq!(
            ledger.lease(100).unwrap().unwrap().turns,
            Turns::from_range(100_000..100_100)
        );
    }
}
