//! What this host shall be after the next boot: the wish in a file, the units that carry it out, and a
//! record of what was there before.
//!
//! The record is on disk before anything else is written, so that a run that was cut off is known to
//! `status` and can be repeated or undone. A unit that a package brought is used as it is; without one, a
//! copy is written to /etc/systemd/system, and removed again with the wish.

mod error;
mod file;
mod record;
mod units;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml_edit::Table;
use v6kit_net::Prefix;

use crate::state_dir::StateDir;
pub use error::BootError;
use record::Record;
use units::Unit;

/// The wish: options of `v6kit setup`, a table for each prefix.
pub const HOST_FILE: &str = "/etc/v6kit/host.toml";

/// Where the units' own sandbox lets the journal be.
pub const STATE_DIR: &str = "/var/lib/v6kit";

/// The key of the tables, one for each prefix.
pub const ENTRIES: &str = "setup";

/// The key that says what `v6kit-check.service` does about drift: `report` or `repair`.
pub const ON_DRIFT: &str = "on-drift";

/// What is wished for a prefix.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The prefix.
    pub prefix: Prefix,
    /// The options, `prefix` among them.
    pub entry: Table,
    /// What to do about drift, where it was said.
    pub on_drift: Option<String>,
}

/// What was written for the next boot.
#[derive(Debug, Clone, Serialize)]
pub struct Persisted {
    /// The file that holds the wish.
    pub file: PathBuf,
    /// Units that no package brought and that were therefore written.
    pub units: Vec<PathBuf>,
    /// Whether systemd will carry it out; false where there is none.
    pub enabled: bool,
    /// The init that runs in systemd's place, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<&'static str>,
    /// What an earlier entry of the prefix said, where it was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
}

/// What was taken back.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Forgotten {
    /// Whether there was anything.
    pub changed: bool,
    /// Files that were removed.
    pub removed: Vec<PathBuf>,
    /// Files that stay, and why.
    pub kept: Vec<String>,
}

/// What will happen at the next boot.
#[derive(Debug, Clone, Serialize)]
pub struct AtBoot {
    /// The file that holds the wish, where there is one.
    pub file: Option<PathBuf>,
    /// Whether `v6kit-setup.service` is enabled.
    pub enabled: bool,
    /// Whether `setup --persist` was cut off.
    pub cut_off: bool,
}

/// Says what will happen at the next boot; `None` when nothing was ever wished.
///
/// # Errors
/// [`BootError`] when there is a record that cannot be read.
pub fn at_boot(state_dir: &Path) -> Result<Option<AtBoot>, BootError> {
    let record = Record::read(state_dir)?;
    let file = Path::new(HOST_FILE).exists().then(|| HOST_FILE.into());
    let enabled = units::is_enabled();
    if record.is_none() && file.is_none() && !enabled {
        return Ok(None);
    }
    Ok(Some(AtBoot {
        cut_off: record.is_some_and(|record| !record.complete),
        file,
        enabled,
    }))
}

/// Says whether [`persist`] can do its work, before anything is changed.
///
/// # Errors
/// [`BootError`] when the file there is cannot be used, or the running binary is no place for a service.
pub fn check(wish: &Wish) -> Result<(), BootError> {
    let (_, _) = file::with(file::read(Path::new(HOST_FILE))?.as_deref(), wish)?;
    file::check(Path::new(HOST_FILE))?;
    for unit in units::needed()? {
        file::check(&unit.path)?;
    }
    Ok(())
}

/// Writes the wish for the next boot, and has systemd carry it out.
///
/// # Errors
/// [`BootError`]. What was written until then is taken back.
pub async fn persist(wish: &Wish) -> Result<Persisted, BootError> {
    let dir = StateDir::make(Path::new(STATE_DIR)).await?;
    let outcome = write(&dir, wish);
    // Starting the unit takes the lock.
    let state_dir = dir.path().to_owned();
    drop(dir);
    let outcome = outcome.and_then(|(mut persisted, mut record)| {
        persisted.enabled = units::enable()?;
        if !persisted.enabled {
            persisted.init = units::other_init();
        }
        record.complete = true;
        record.write(&state_dir)?;
        Ok(persisted)
    });
    if outcome.is_err()
        && let Err(error) = forget(Some(wish.prefix)).await
    {
        tracing::warn!("what was written for the next boot could not be taken back: {error}");
    }
    outcome
}

fn write(dir: &StateDir, wish: &Wish) -> Result<(Persisted, Record), BootError> {
    let path = Path::new(HOST_FILE);
    let before = file::read(path)?;
    let (after, replaced) = file::with(before.as_deref(), wish)?;
    let units = units::needed()?;
    let mut record = Record::read(dir.path())?.unwrap_or_else(|| Record {
        before: before.clone(),
        made_directory: path.parent().is_some_and(|parent| !parent.exists()),
        ..Record::default()
    });
    record.after.clone_from(&after);
    record.complete = false;
    if !record.prefixes.contains(&wish.prefix) {
        record.prefixes.push(wish.prefix);
    }
    for unit in &units {
        if !record.units.iter().any(|known| known.path == unit.path) {
            record.units.push(unit.clone());
        }
    }
    record.write(dir.path())?;
    for unit in &units {
        file::replace(&unit.path, &unit.text)?;
    }
    file::replace(path, &after)?;
    let persisted = Persisted {
        file: path.to_owned(),
        units: units.into_iter().map(|unit| unit.path).collect(),
        enabled: false,
        init: None,
        replaced,
    };
    Ok((persisted, record))
}

/// Stops the regular check, which might repair what a teardown is about to take away.
///
/// # Errors
/// [`BootError`] when systemd refuses.
pub fn stop_checks() -> Result<(), BootError> {
    units::stop_checks()
}

/// Takes the wish back: for one prefix, or all of it. The last one takes the units along.
///
/// # Errors
/// [`BootError`]. It can be repeated.
pub async fn forget(prefix: Option<Prefix>) -> Result<Forgotten, BootError> {
    let state_dir = Path::new(STATE_DIR);
    let Some(record) = Record::read(state_dir)? else {
        let mut forgotten = Forgotten {
            changed: units::disable()?,
            ..Forgotten::default()
        };
        if Path::new(HOST_FILE).exists() {
            forgotten
                .kept
                .push(format!("{HOST_FILE} stays: setup did not write it"));
        }
        return Ok(forgotten);
    };
    let rest: Vec<Prefix> = record
        .prefixes
        .iter()
        .copied()
        .filter(|known| prefix.is_some_and(|prefix| prefix != *known))
        .collect();
    let is_last = rest.is_empty();
    if is_last {
        // Its ExecStop takes the lock.
        units::disable()?;
    }
    let dir = StateDir::make(state_dir).await?;
    let mut forgotten = Forgotten {
        changed: true,
        ..Forgotten::default()
    };
    let path = Path::new(HOST_FILE);
    let now = file::read(path)?;
    let target = if is_last && now.as_deref() == Some(record.after.as_str()) {
        record.before.clone()
    } else {
        let gone: Vec<Prefix> = match prefix {
            Some(prefix) => vec![prefix],
            None => record.prefixes.clone(),
        };
        now.as_deref()
            .map(|text| file::without(text, &gone))
            .transpose()?
            .flatten()
    };
    match &target {
        Some(text) if now.as_ref() != Some(text) => {
            file::replace(path, text)?;
            if is_last {
                forgotten
                    .kept
                    .push(format!("{HOST_FILE} stays with what others wrote into it"));
            }
        }
        Some(_) => {}
        None => {
            if file::remove(path)? {
                forgotten.removed.push(path.to_owned());
            }
        }
    }
    if is_last {
        finish(&record, &dir, &mut forgotten)?;
    } else {
        Record {
            after: target.unwrap_or_default(),
            prefixes: rest,
            ..record
        }
        .write(dir.path())?;
    }
    Ok(forgotten)
}

/// Removes what was written beside the wish, the record last.
fn finish(record: &Record, dir: &StateDir, forgotten: &mut Forgotten) -> Result<(), BootError> {
    for Unit { path, text } in &record.units {
        match file::read(path)? {
            Some(found) if found != *text => forgotten.kept.push(format!(
                "{} stays: somebody changed it since setup wrote it",
                path.display()
            )),
            _ => {
                if file::remove(path)? {
                    forgotten.removed.push(path.clone());
                }
            }
        }
    }
    if !record.units.is_empty() {
        units::reload()?;
    }
    if let (true, Some(directory)) = (record.made_directory, Path::new(HOST_FILE).parent()) {
        match std::fs::remove_dir(directory) {
            Err(source)
                if !matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                return Err(BootError::write(directory)(source));
            }
            _ => {}
        }
    }
    file::remove(&Record::path(dir.path()))?;
    dir.remove_if_ours()?;
    Ok(())
}
