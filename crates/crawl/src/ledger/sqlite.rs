//! The ledger of one machine: SQLite in the job directory.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, OpenFlags, params};

use super::{Chunk, CommittedFrame, Counts, FramePlace, Ledger, LedgerError, Standing};
use crate::job::Description;
use crate::segment::Segment;
use crate::turns::Turns;

/// The number of the format, in `PRAGMA user_version`.
const FORMAT: i64 = 1;
const FILE: &str = "ledger.sqlite";
const LOCK: &str = "lock";

const SCHEMA: &str = "
    CREATE TABLE job (description TEXT NOT NULL, total INTEGER NOT NULL);
    CREATE TABLE frame (
        segment INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        length INTEGER NOT NULL,
        first INTEGER NOT NULL,
        turns BLOB NOT NULL,
        ok INTEGER NOT NULL,
        absent INTEGER NOT NULL,
        blocked INTEGER NOT NULL,
        transient INTEGER NOT NULL,
        fatal INTEGER NOT NULL,
        PRIMARY KEY (segment, offset)
    ) WITHOUT ROWID;
";

/// A ledger in a job directory. Leases live in memory: the directory is locked, and whatever a crawl that
/// died had leased is open again for the next one.
#[derive(Debug)]
pub struct SqliteLedger {
    directory: PathBuf,
    database: Mutex<Connection>,
    work: Mutex<Work>,
    next_segment: AtomicU64,
    /// Released by the kernel, however the process ends.
    _lock: Option<Flock<File>>,
}

#[derive(Debug)]
struct Work {
    open: Turns,
    standing: Standing,
}

impl SqliteLedger {
    /// Opens the ledger in `directory` for crawling, and makes both where there are none. Segments are
    /// cut back to their last committed frame.
    ///
    /// # Errors
    /// [`LedgerError`], such as when the directory holds another job.
    pub fn open(directory: &Path, description: &Description, total: u64) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Directory {
            path: directory.to_owned(),
            source,
        };
        fs::create_dir_all(directory).map_err(failed)?;
        refuse_foreign(directory)?;
        let lock = lock(directory)?;
        let sqlite = |source| LedgerError::Sqlite {
            path: directory.to_owned(),
            source,
        };
        let database = Connection::open(directory.join(FILE)).map_err(sqlite)?;
        // FULL: a commit survives the power cut that follows it.
        database
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(sqlite)?;
        database
            .pragma_update(None, "synchronous", "FULL")
            .map_err(sqlite)?;
        let ledger = Self::on(directory, database, Some(lock));
        ledger.create_or_compare(description, total)?;
        ledger.load()?;
        ledger.cut_segments()?;
        Ok(ledger)
    }

    /// Opens the ledger in `directory` for reading, also while a crawl is running.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn read(directory: &Path) -> Result<Self, LedgerError> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Err(LedgerError::Missing {
                path: directory.to_owned(),
            });
        }
        let sqlite = |source| LedgerError::Sqlite {
            path: directory.to_owned(),
            source,
        };
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
        let ledger = Self::on(directory, database, None);
        ledger.check_format()?;
        ledger.load()?;
        Ok(ledger)
    }

    fn on(directory: &Path, database: Connection, lock: Option<Flock<File>>) -> Self {
        Self {
            directory: directory.to_owned(),
            database: Mutex::new(database),
            work: Mutex::new(Work {
                open: Turns::default(),
                standing: Standing::default(),
            }),
            next_segment: AtomicU64::new(1),
            _lock: lock,
        }
    }

    /// The job that the directory belongs to.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn description(&self) -> Result<Description, LedgerError> {
        let text: String = self
            .database()
            .query_row("SELECT description FROM job", [], |row| row.get(0))
            .map_err(|error| self.failed(error))?;
        serde_json::from_str(&text).map_err(|error| self.damaged(format!("job: {error}")))
    }

    /// The committed frames, in the order of their first turn.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn frames(&self) -> Result<Vec<CommittedFrame>, LedgerError> {
        let database = self.database();
        let rows = database
            .prepare("SELECT * FROM frame ORDER BY first, segment, offset")
            .and_then(|mut statement| statement.query_map([], frame_of)?.collect::<Result<Vec<_>, _>>());
        rows.map_err(|error| self.failed(error))
    }

    /// The file that a frame lies in.
    #[must_use]
    pub fn segment_path(&self, place: FramePlace) -> PathBuf {
        Segment::path(&self.directory, place.segment)
    }

    fn create_or_compare(&self, description: &Description, total: u64) -> Result<(), LedgerError> {
        let version: i64 = self
            .database()
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|error| self.failed(error))?;
        if version == 0 {
            return self
                .create(description, total)
                .map_err(|error| self.failed(error));
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

    fn create(&self, description: &Description, total: u64) -> rusqlite::Result<()> {
        let text = serde_json::json!(description).to_string();
        let mut database = self.database();
        let transaction = database.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute("INSERT INTO job VALUES (?1, ?2)", params![text, total as i64])?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()
    }

    fn check_format(&self) -> Result<(), LedgerError> {
        let found = self
            .database()
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|error| self.failed(error))?;
        match found {
            FORMAT => Ok(()),
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
        let total: i64 = self
            .database()
            .query_row("SELECT total FROM job", [], |row| row.get(0))
            .map_err(|error| self.failed(error))?;
        let mut standing = Standing {
            total: total as u64,
            ..Standing::default()
        };
        let mut done = Turns::default();
        let mut segments = BTreeMap::new();
        for frame in self.frames()? {
            done.add(&frame.turns);
            standing.done.add_all(&frame.counts);
            standing.frames += 1;
            standing.bytes += frame.place.length;
            segments.insert(frame.place.segment, ());
        }
        if done.count() != standing.done.sum() {
            return Err(self.damaged("an item is committed twice".to_owned()));
        }
        standing.segments = segments.len() as u64;
        *self.work() = Work {
            open: done.complement(0..standing.total),
            standing,
        };
        Ok(())
    }

    /// Cuts segments back to their last committed frame, and removes those without one.
    fn cut_segments(&self) -> Result<(), LedgerError> {
        let mut committed: BTreeMap<u64, u64> = BTreeMap::new();
        for frame in self.frames()? {
            let end = committed.entry(frame.place.segment).or_default();
            *end = (*end).max(frame.place.offset + frame.place.length);
        }
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

    fn insert(&self, frame: &CommittedFrame) -> rusqlite::Result<()> {
        let CommittedFrame { place, turns, counts } = frame;
        let first = turns.hull().map_or(0, |hull| hull.start);
        let [ok, absent, blocked, transient, fatal] = counts.0.map(|count| count as i64);
        self.database()
            .prepare_cached("INSERT INTO frame VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?
            .execute(params![
                place.segment as i64,
                place.offset as i64,
                place.length as i64,
                first as i64,
                turns.encode(),
                ok,
                absent,
                blocked,
                transient,
                fatal
            ])
            .map(drop)
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: rusqlite::Error) -> LedgerError {
        LedgerError::Sqlite {
            path: self.directory.clone(),
            source,
        }
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
        self.insert(frame).map_err(|error| self.failed(error))?;
        let standing = &mut self.work().standing;
        standing.done.add_all(&frame.counts);
        standing.frames += 1;
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

fn frame_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<CommittedFrame> {
    let number = |column: usize| row.get::<_, i64>(column).map(|number| number as u64);
    let blob: Vec<u8> = row.get(4)?;
    let turns = Turns::decode(&blob).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(4, rusqlite::types::Type::Blob, error.into())
    })?;
    Ok(CommittedFrame {
        place: FramePlace {
            segment: number(0)?,
            offset: number(1)?,
            length: number(2)?,
        },
        turns,
        counts: Counts([number(5)?, number(6)?, number(7)?, number(8)?, number(9)?]),
    })
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
    use crate::Outcome;

    fn description(url: &str) -> Description {
        serde_json::from_value(serde_json::json!({ "url": url })).unwrap()
    }

    fn frame(segment: u64, offset: u64, turns: std::ops::Range<u64>) -> CommittedFrame {
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
        }
    }

    #[test]
    fn what_is_committed_is_never_leased_again() {
        let directory = tempfile::tempdir().unwrap();
        let job = description("a");
        let ledger = SqliteLedger::open(directory.path(), &job, 100).unwrap();
        assert_eq!(ledger.lease(40).unwrap().unwrap().turns, Turns::from_range(0..40));
        ledger.commit(&frame(1, 0, 0..30)).unwrap();
        drop(ledger);
        let ledger = SqliteLedger::open(directory.path(), &job, 100).unwrap();
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
        drop(SqliteLedger::open(directory.path(), &description("a"), 100).unwrap());
        let error = SqliteLedger::open(directory.path(), &description("b"), 100).unwrap_err();
        assert!(
            error.to_string().ends_with("url was `a` and is `b` now"),
            "{error}"
        );
    }

    #[test]
    fn a_second_crawl_in_the_same_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _first = SqliteLedger::open(directory.path(), &description("a"), 100).unwrap();
        let error = SqliteLedger::open(directory.path(), &description("a"), 100).unwrap_err();
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
        let error = SqliteLedger::open(directory.path(), &description("a"), 100).unwrap_err();
        assert!(matches!(error, LedgerError::Foreign { .. }), "{error}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn segments_are_cut_back_to_what_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let job = description("a");
        let ledger = SqliteLedger::open(directory.path(), &job, 100).unwrap();
        let path = |number| Segment::path(directory.path(), number);
        fs::write(path(1), [1; 25]).unwrap();
        fs::write(path(2), [1; 5]).unwrap();
        ledger.commit(&frame(1, 0, 0..10)).unwrap();
        ledger.commit(&frame(1, 10, 10..20)).unwrap();
        drop(ledger);
        let ledger = SqliteLedger::open(directory.path(), &job, 100).unwrap();
        assert_eq!(fs::metadata(path(1)).unwrap().len(), 20);
        assert!(!path(2).exists());
        assert_eq!(ledger.next_segment(), 3);
    }
}
