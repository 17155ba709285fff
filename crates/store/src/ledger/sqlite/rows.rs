//! The tables, and every statement about them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use v6kit_model::{Counts, Ordinals, Outcome};

use crate::ledger::accounts::Retry;
use crate::ledger::{CommittedFrame, Extent, FramePlace, Known};

/// The number of the form of the tables, in `PRAGMA user_version`.
pub(super) const VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE job (
        description TEXT NOT NULL,
        items INTEGER NOT NULL,
        visited INTEGER NOT NULL,
        invocation TEXT NOT NULL DEFAULT '[]'
    );
    CREATE TABLE frame (
        segment INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        length INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        turns BLOB NOT NULL,
        began INTEGER NOT NULL,
        ended INTEGER NOT NULL,
        ok INTEGER NOT NULL,
        absent INTEGER NOT NULL,
        blocked INTEGER NOT NULL,
        transient INTEGER NOT NULL,
        fatal INTEGER NOT NULL,
        PRIMARY KEY (segment, offset)
    ) WITHOUT ROWID;
    CREATE TABLE retry (
        generation INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        turns BLOB NOT NULL,
        PRIMARY KEY (generation, outcome)
    ) WITHOUT ROWID;
";

/// Numbers of segments that this ledger gave out, before their files were made: no other file is ever cut or removed.
/// Ledgers of earlier releases have no such table.
const RESERVED: &str = "CREATE TABLE IF NOT EXISTS reserved (segment INTEGER PRIMARY KEY)";

/// The number of the first segment of a job.
const FIRST_SEGMENT: u64 = 1;

/// The options of the crawl that ran last, where it was of a release that knows this table.
const RUN: &str = "CREATE TABLE IF NOT EXISTS run (options TEXT NOT NULL)";

/// A word that was drawn for the job.
const IDENTITY: &str = "
    CREATE TABLE IF NOT EXISTS identity (word TEXT NOT NULL);
    INSERT INTO identity SELECT lower(hex(randomblob(8))) WHERE NOT EXISTS (SELECT 1 FROM identity);
";

/// Segments of one frame each whose records others have, until their files are gone.
const SUPERSEDED: &str = "
    CREATE TABLE IF NOT EXISTS superseded (
        segment INTEGER PRIMARY KEY,
        length INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    )
";

/// Tables that ledgers of earlier releases lack.
const LATER: [&str; 4] = [RESERVED, RUN, IDENTITY, SUPERSEDED];

/// A row of `frame`: one frame, or neighbours that were joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredFrame {
    pub(super) generation: u32,
    pub(super) frame: CommittedFrame,
}

/// Sets the connection of a writer up.
pub(super) fn configure(database: &Connection) -> rusqlite::Result<()> {
    database.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit survives the power cut that follows it.
    database.pragma_update(None, "synchronous", "FULL")?;
    // Some 400 kB of log instead of 4 MB: commits are rare and small.
    database.pragma_update(None, "wal_autocheckpoint", 100)?;
    database.pragma_update(None, "journal_size_limit", 400_000)?;
    if version(database)? == VERSION {
        for table in LATER {
            database.execute_batch(table)?;
        }
    }
    Ok(())
}

/// Makes the tables of a job, with the number of its first segment given out.
pub(super) fn create(
    database: &mut Connection,
    description: &str,
    extent: Extent,
    invocation: Option<[String; 2]>,
) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    for table in LATER {
        transaction.execute_batch(table)?;
    }
    transaction.execute(
        "INSERT INTO job (description, items, visited) VALUES (?1, ?2, ?3)",
        params![description, extent.items as i64, extent.visited as i64],
    )?;
    reserve(&transaction, FIRST_SEGMENT)?;
    if let Some([words, options]) = invocation {
        write_invocation(&transaction, &words, &options)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// From now on the job is this one, and so large.
pub(super) fn grow(database: &mut Connection, description: &str, extent: Extent) -> rusqlite::Result<()> {
    database
        .execute(
            "UPDATE job SET description = ?1, items = ?2, visited = ?3",
            params![description, extent.items as i64, extent.visited as i64],
        )
        .map(drop)
}

pub(super) fn version(database: &Connection) -> rusqlite::Result<i64> {
    database.pragma_query_value(None, "user_version", |row| row.get(0))
}

pub(super) fn quick_check(database: &mut Connection) -> rusqlite::Result<String> {
    database.pragma_query_value(None, "quick_check", |row| row.get(0))
}

pub(super) fn description(database: &mut Connection) -> rusqlite::Result<String> {
    database.query_row("SELECT description FROM job", [], |row| row.get(0))
}

pub(super) fn extent(database: &mut Connection) -> rusqlite::Result<Extent> {
    database.query_row("SELECT items, visited FROM job", [], |row| {
        Ok(Extent {
            items: number(row, 0)?,
            visited: number(row, 1)?,
        })
    })
}

pub(super) fn invocation(database: &mut Connection) -> rusqlite::Result<String> {
    database.query_row("SELECT invocation FROM job", [], |row| row.get(0))
}

pub(super) fn set_invocation(database: &mut Connection, words: &str, options: &str) -> rusqlite::Result<()> {
    if invocation(database)? == words && self::options(database)?.as_deref() == Some(options) {
        return Ok(());
    }
    let transaction = database.transaction()?;
    write_invocation(&transaction, words, options)?;
    transaction.commit()
}

fn write_invocation(database: &Connection, words: &str, options: &str) -> rusqlite::Result<()> {
    database.execute("UPDATE job SET invocation = ?1", params![words])?;
    database.execute("DELETE FROM run", [])?;
    database
        .execute("INSERT INTO run (options) VALUES (?1)", params![options])
        .map(drop)
}

pub(super) fn options(database: &mut Connection) -> rusqlite::Result<Option<String>> {
    let known = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'run'";
    if database.query_row(known, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(None);
    }
    database
        .query_row("SELECT options FROM run", [], |row| row.get(0))
        .optional()
}

pub(super) fn reserve(database: &Connection, segment: u64) -> rusqlite::Result<()> {
    // Nothing is written, and so no disk waited for, where it is there.
    database
        .execute(
            "INSERT OR IGNORE INTO reserved (segment) VALUES (?1)",
            params![segment as i64],
        )
        .map(drop)
}

pub(super) fn identity(database: &mut Connection) -> rusqlite::Result<String> {
    database.query_row("SELECT word FROM identity", [], |row| row.get(0))
}

/// What is known of each segment, the strongest last.
pub(super) fn known(database: &mut Connection) -> rusqlite::Result<BTreeMap<u64, Known>> {
    let mut known = each(database, "SELECT segment FROM reserved", |_| Ok(Known::Reserved))?;
    known.extend(each(
        database,
        "SELECT segment, length, checksum FROM superseded",
        |row| {
            Ok(Known::Superseded {
                length: number(row, 1)?,
                checksum: row.get(2)?,
            })
        },
    )?);
    known.extend(committed(database)?);
    Ok(known)
}

/// The segments with committed records.
pub(super) fn committed(database: &mut Connection) -> rusqlite::Result<BTreeMap<u64, Known>> {
    // Beside max() SQLite takes the other columns from the row that has it.
    each(
        database,
        "SELECT segment, max(offset), length, checksum FROM frame WHERE segment > 0 GROUP BY segment",
        |row| {
            Ok(Known::Committed {
                last: FramePlace {
                    segment: number(row, 0)?,
                    offset: number(row, 1)?,
                    length: number(row, 2)?,
                },
                checksum: row.get(3)?,
            })
        },
    )
}

/// What `read` makes of the rows, by the segment in their first column.
fn each(
    database: &mut Connection,
    question: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Known>,
) -> rusqlite::Result<BTreeMap<u64, Known>> {
    database
        .prepare(question)?
        .query_map([], |row| Ok((number(row, 0)?, read(row)?)))?
        .collect()
}

pub(super) fn forget_superseded(database: &mut Connection) -> rusqlite::Result<()> {
    database.execute("DELETE FROM superseded", []).map(drop)
}

/// Writes a row, in place of the one that it was joined with.
pub(super) fn put_frame(database: &Connection, row: &StoredFrame) -> rusqlite::Result<()> {
    let StoredFrame { generation, frame } = row;
    let CommittedFrame {
        place,
        ordinals,
        counts,
        span,
        checksum,
    } = frame;
    let hull = ordinals.hull().unwrap_or(0..0);
    let [ok, absent, blocked, transient, fatal] = Outcome::ALL.map(|outcome| counts.of(outcome) as i64);
    database
        .prepare_cached(
            "INSERT OR REPLACE INTO frame
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            place.segment as i64,
            place.offset as i64,
            place.length as i64,
            checksum,
            generation,
            hull.start as i64,
            hull.end as i64,
            ordinals.encode(),
            span.start as i64,
            span.end as i64,
            ok,
            absent,
            blocked,
            transient,
            fatal
        ])
        .map(drop)
}

/// Puts `merged` in the place of the rows at `old`, where all are there and of one generation, which is the result.
pub(super) fn replace(
    database: &mut Connection,
    old: &[FramePlace],
    merged: &CommittedFrame,
) -> rusqlite::Result<Option<u32>> {
    let transaction = database.transaction()?;
    let mut generations = BTreeSet::new();
    for place in old {
        let gone: Option<(u32, u32)> = transaction
            .query_row(
                "DELETE FROM frame WHERE segment = ?1 AND offset = ?2 AND length = ?3 RETURNING generation, checksum",
                params![place.segment as i64, place.offset as i64, place.length as i64],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        // Dropped, the transaction is rolled back.
        let Some((generation, checksum)) = gone else {
            return Ok(None);
        };
        generations.insert(generation);
        if place.offset == 0 {
            transaction.execute(
                "INSERT OR REPLACE INTO superseded VALUES (?1, ?2, ?3)",
                params![place.segment as i64, place.length as i64, checksum],
            )?;
        }
    }
    let Some(generation) = generations.pop_first().filter(|_| generations.is_empty()) else {
        return Ok(None);
    };
    let row = StoredFrame {
        generation,
        frame: merged.clone(),
    };
    put_frame(&transaction, &row)?;
    transaction.commit()?;
    Ok(Some(generation))
}

/// Frames of `generation` with fewer rows and bytes than these.
pub(super) fn small_frames(
    database: &mut Connection,
    generation: u32,
    rows: u64,
    bytes: u64,
) -> rusqlite::Result<Vec<StoredFrame>> {
    database
        .prepare(
            "SELECT * FROM frame WHERE segment > 0 AND generation = ?1 AND ok + absent + blocked + transient + fatal < ?2
             AND length < ?3 ORDER BY first, segment, offset",
        )?
        .query_map(params![generation, rows as i64, bytes as i64], frame_of)?
        .collect()
}

pub(super) fn for_each_frame(
    database: &mut Connection,
    mut take: impl FnMut(StoredFrame),
) -> rusqlite::Result<()> {
    let mut statement = database.prepare("SELECT * FROM frame")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(frame_of(row)?);
    }
    Ok(())
}

/// Rows with ordinals between the ends of `hull`, in the order of their first ordinal.
pub(super) fn frames_within(
    database: &mut Connection,
    hull: &Range<u64>,
) -> rusqlite::Result<Vec<StoredFrame>> {
    let bound = |ordinal: u64| i64::try_from(ordinal).unwrap_or(i64::MAX);
    database
        .prepare(
            "SELECT * FROM frame WHERE first < ?2 AND last > ?1 ORDER BY first, generation, segment, offset",
        )?
        .query_map(params![bound(hull.start), bound(hull.end)], frame_of)?
        .collect()
}

/// When the newest rows were filled, in milliseconds since 1970, and how many records they hold.
pub(super) fn recent(database: &mut Connection, rows: u64) -> rusqlite::Result<Vec<(Range<u64>, u64)>> {
    database
        .prepare(
            "SELECT began, ended, ok + absent + blocked + transient + fatal
             FROM frame ORDER BY ended DESC LIMIT ?1",
        )?
        .query_map([rows as i64], |row| {
            Ok((number(row, 0)?..number(row, 1)?, number(row, 2)?))
        })?
        .collect()
}

pub(super) fn segment_lengths(database: &mut Connection) -> rusqlite::Result<BTreeMap<u64, u64>> {
    database
        .prepare("SELECT segment, max(offset + length) FROM frame WHERE segment > 0 GROUP BY segment")?
        .query_map([], |row| Ok((number(row, 0)?, number(row, 1)?)))?
        .collect()
}

pub(super) fn retries(database: &mut Connection) -> rusqlite::Result<Vec<Retry>> {
    database
        .prepare("SELECT generation, outcome, turns FROM retry ORDER BY generation")?
        .query_map([], |row| {
            let name: String = row.get(1)?;
            let outcome = Outcome::ALL
                .into_iter()
                .find(|outcome| outcome.as_str() == name)
                .ok_or(rusqlite::Error::InvalidQuery)?;
            Ok(Retry {
                generation: row.get(0)?,
                outcome,
                ordinals: ordinals_of(row, 2)?,
            })
        })?
        .collect()
}

pub(super) fn add_retries(database: &mut Connection, retries: &[Retry]) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    insert_retries(&transaction, retries)?;
    transaction.commit()
}

fn insert_retries(database: &Connection, retries: &[Retry]) -> rusqlite::Result<()> {
    for Retry {
        generation,
        outcome,
        ordinals,
    } in retries
    {
        database.execute(
            "INSERT INTO retry VALUES (?1, ?2, ?3)",
            params![generation, outcome.as_str(), ordinals.encode()],
        )?;
    }
    Ok(())
}

/// Removes rows, moves others, and replaces all retries, in one transaction.
pub(super) fn rearrange(
    database: &mut Connection,
    lost: &[FramePlace],
    moved: &[(FramePlace, FramePlace)],
    retries: &[Retry],
) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    for place in lost {
        transaction.execute(
            "DELETE FROM frame WHERE segment = ?1 AND offset = ?2",
            params![place.segment as i64, place.offset as i64],
        )?;
    }
    for (from, to) in moved {
        transaction.execute(
            "UPDATE frame SET segment = ?3, offset = ?4 WHERE segment = ?1 AND offset = ?2",
            params![
                from.segment as i64,
                from.offset as i64,
                to.segment as i64,
                to.offset as i64
            ],
        )?;
    }
    transaction.execute("DELETE FROM retry", [])?;
    insert_retries(&transaction, retries)?;
    transaction.commit()
}

fn frame_of(row: &Row<'_>) -> rusqlite::Result<StoredFrame> {
    let mut counts = [0; 5];
    for (index, count) in counts.iter_mut().enumerate() {
        *count = number(row, 10 + index)?;
    }
    Ok(StoredFrame {
        generation: row.get(4)?,
        frame: CommittedFrame {
            place: FramePlace {
                segment: number(row, 0)?,
                offset: number(row, 1)?,
                length: number(row, 2)?,
            },
            checksum: row.get(3)?,
            ordinals: ordinals_of(row, 7)?,
            span: number(row, 8)?..number(row, 9)?,
            counts: Counts::new(counts),
        },
    })
}

fn ordinals_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Ordinals> {
    let bytes: Vec<u8> = row.get(column)?;
    Ordinals::decode(&bytes).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, error.into())
    })
}

/// SQLite's integers are signed; what is stored here was unsigned before.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| number as u64)
}
