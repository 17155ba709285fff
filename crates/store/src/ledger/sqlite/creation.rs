//! A ledger that is there whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rusqlite::Connection;

use super::directory::{FILE, UNFINISHED, lock, make_durable, refuse_foreign};
use super::{SqliteLedger, failed, no_room, rows};
use crate::description::Description;
use crate::durable::sync_directory;
use crate::ledger::{Extent, LedgerError};

/// What SQLite puts beside a database, by the ends of the names, and the database itself.
const FILES: [&str; 4] = ["-journal", "-wal", "-shm", ""];

/// The words of a command that crawls, and those that say the same from wherever they are said.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The words of the command.
    pub words: &'a [String],
    /// Those that say the same.
    pub options: &'a [String],
}

impl Invocation<'_> {
    /// Both as JSON.
    pub(super) fn texts(&self) -> [String; 2] {
        [self.words, self.options].map(|words| serde_json::json!(words).to_string())
    }
}

impl SqliteLedger {
    /// Makes the ledger of a job in `directory`, and the directory, and opens it for crawling; `None` where there is one.
    ///
    /// It is made under another name without a wait for the disk, and gets its own once it is on the disk: one wait for
    /// all of it and one for its name, where a transaction waits for its journal, its pages and their names.
    ///
    /// # Errors
    /// [`LedgerError`], such as when files of others lie there.
    pub fn begin(
        directory: &Path,
        description: &Description,
        extent: Extent,
        invocation: Option<Invocation<'_>>,
    ) -> Result<Option<Self>, LedgerError> {
        let io = |source| LedgerError::directory(directory, source);
        make_durable(directory).map_err(io)?;
        refuse_foreign(directory)?;
        let file = directory.join(FILE);
        if file.exists() {
            return Ok(None);
        }
        let lock = lock(directory)?;
        if file.exists() {
            return Ok(None);
        }
        let unfinished = directory.join(UNFINISHED);
        remove(&unfinished).map_err(io)?;
        let text = serde_json::json!(description).to_string();
        let invocation = invocation.map(|invocation| invocation.texts());
        let made = Connection::open(&unfinished)
            .map_err(|source| failed(directory, source))
            .and_then(|mut database| {
                let filled = fill(&mut database, &text, extent, invocation);
                filled.map_err(|source| match no_room(&database) {
                    Some(full) => LedgerError::directory(directory, full),
                    None => failed(directory, source),
                })?;
                let closed = database.close();
                closed.map_err(|(_, source)| failed(directory, source))
            })
            .and_then(|()| {
                let synced = File::open(&unfinished).and_then(|file| file.sync_all());
                let named = synced.and_then(|()| fs::rename(&unfinished, &file));
                named.and_then(|()| sync_directory(directory)).map_err(io)
            });
        if made.is_err() {
            // It is made anew in any case.
            let _ = remove(&unfinished);
        }
        made?;
        let ledger = Self::locked(directory, lock)?;
        ledger.load()?;
        Ok(Some(ledger))
    }
}

/// Writes everything. Nothing of it is on the disk for certain, and all of it in one file once it is closed.
fn fill(
    database: &mut Connection,
    description: &str,
    extent: Extent,
    invocation: Option<[String; 2]>,
) -> rusqlite::Result<()> {
    database.pragma_update(None, "synchronous", "OFF")?;
    database.pragma_update(None, "journal_mode", "MEMORY")?;
    rows::create(database, description, extent, invocation)?;
    // As it is written to later: the file itself says so.
    database.pragma_update(None, "journal_mode", "WAL")
}

fn remove(unfinished: &Path) -> io::Result<()> {
    for end in FILES {
        let mut name = unfinished.as_os_str().to_owned();
        name.push(end);
        match fs::remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
