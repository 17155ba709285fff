//! The journal: every change announced on disk before it is made, and confirmed after.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{HostError, JournalError};
use crate::event::{Event, Line};
use crate::namespace::{self, Presence};
use crate::owner::Owner;
use crate::place::Place;
use crate::regular;
use crate::state::State;
use crate::state_dir;
use crate::summary::{Summary, SummaryError};
use crate::system::System;

/// The file in the state directory: one JSON object a line.
const FILE: &str = "journal.jsonl";

/// The latest format of lines. Each is written in the first that has its event; those of format 1 do not say theirs.
const VERSION: u32 = 3;

/// A line as it is written.
#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    #[serde(flatten)]
    line: &'a Line,
}

/// What every line of every format can be read as.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default = "first_version")]
    version: u32,
}

fn first_version() -> u32 {
    1
}

/// What is in the file.
struct Contents {
    state: State,
    /// Octets of whole lines.
    whole: u64,
    /// How many those are.
    lines: u64,
}

/// The journal on disk and what it adds up to.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// Opened by the first event, so that looking leaves no file.
    file: Option<File>,
    /// The length up to the last whole line.
    whole: u64,
    /// How many those are.
    lines: u64,
    place: Place,
    state: State,
    /// The first event that is in the state and not on disk.
    error: Option<JournalError>,
}

impl Journal {
    /// Reads the journal in `state_dir`; a missing one is empty.
    pub(crate) fn read(state_dir: &Path, place: Place) -> Result<Self, JournalError> {
        let path = state_dir.join(FILE);
        let Contents { state, whole, lines } = contents(state_dir)?;
        for elsewhere in state.other_namespaces(&place) {
            let presence = namespace::presence(elsewhere, &place);
            if presence != Presence::Gone {
                let is_held = presence == Presence::Held;
                return Err(JournalError::OtherNamespace { path, is_held });
            }
        }
        Ok(Self {
            path,
            file: None,
            whole,
            lines,
            place,
            state,
            error: None,
        })
    }

    /// What the journal in `state_dir` adds up to, wherever it was written. `None` where there is none.
    pub(crate) fn state_in(state_dir: &Path) -> Result<Option<State>, JournalError> {
        let Contents { state, lines, .. } = contents(state_dir)?;
        Ok((lines > 0).then_some(state))
    }

    /// What other commands may know of it, with how long the journal is that says so.
    pub(crate) fn summary(&self) -> Summary {
        Summary {
            journal_lines: Some(self.lines),
            ..self.state.summary()
        }
    }

    /// Reads the journal in `state_dir` for this process, wherever that runs.
    pub(crate) async fn open(state_dir: &Path, system: &System) -> Result<Self, HostError> {
        state_dir::require_target(state_dir)?;
        let here = Place::here().map_err(HostError::facts("/proc"))?;
        let mut journal = Self::read(state_dir, here)?;
        journal.recognise(system).await?;
        Ok(journal)
    }

    /// In a container of systemd-nspawn a shell sees another boot id than a unit with a /proc of its own.
    /// A route with our mark, which no boot keeps, in the namespace that it was journaled in shows that both
    /// are one boot.
    async fn recognise(&mut self, system: &System) -> Result<(), HostError> {
        for (place, prefix) in self.state.routes_of_other_boots(&self.place) {
            if system.has_route_of_ours(prefix).await? {
                self.place = place;
                return Ok(());
            }
        }
        Ok(())
    }

    /// What all lines add up to.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Where this process is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The mark on what is made for this journal.
    pub(crate) fn owner(&self) -> Owner {
        let directory = self.path.parent().unwrap_or(&self.path);
        Owner::new(&self.place, directory)
    }

    /// Puts an event on disk, and only then into the state.
    pub(crate) fn append(&mut self, event: Event) -> Result<(), JournalError> {
        let line = Line {
            place: self.place.clone(),
            event,
        };
        self.write(&line).map_err(|source| JournalError::Write {
            path: self.path.clone(),
            source,
        })?;
        self.state.record(&line);
        Ok(())
    }

    /// Puts an event of an undoing into the state even where it cannot be put on disk: a full disk must
    /// not keep anything from being put back. [`Journal::take_error`] tells.
    pub(crate) fn note(&mut self, event: Event) {
        if let Err(error) = self.append(event.clone()) {
            self.state.record(&Line {
                place: self.place.clone(),
                event,
            });
            self.error.get_or_insert(error);
        }
    }

    /// Why something that was noted is not on disk.
    pub(crate) fn take_error(&mut self) -> Result<(), JournalError> {
        self.error.take().map_or(Ok(()), Err)
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(&Written {
            version: line.event.format(),
            line,
        })?;
        text.push(b'\n');
        if self.file.is_none() {
            self.file = Some(open(&self.path)?);
        }
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // What a kill or a full disk cut off must not run into the next line.
        file.set_len(self.whole)?;
        file.write_all(&text)?;
        file.sync_data()?;
        self.whole += text.len() as u64;
        self.lines += 1;
        Ok(())
    }

    /// Removes the file, when nothing in it matters any more.
    pub(crate) fn remove(&mut self) -> Result<(), JournalError> {
        self.file = None;
        self.whole = 0;
        self.lines = 0;
        self.state = State::default();
        match fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(JournalError::Write {
                path: self.path.clone(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

/// Reads the file, and compares it with what the summary beside it says of its length. A last line that was cut off by
/// a kill announced a change that was never made, and is ignored.
fn contents(state_dir: &Path) -> Result<Contents, JournalError> {
    let path = state_dir.join(FILE);
    loop {
        // The summary first: what is written later can only be longer.
        let before = Summary::of_file(state_dir);
        let text = match regular::read(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(JournalError::Read { path, source }),
        };
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        let text = &text[..whole];
        let found = Contents {
            state: folded(&path, text)?,
            whole: whole as u64,
            lines: text.iter().filter(|byte| **byte == b'\n').count() as u64,
        };
        let summary = match before {
            Ok(Some(summary)) => summary,
            Err(SummaryError::Damaged { .. }) if found.lines == 0 => {
                return Err(JournalError::Cut {
                    path,
                    prefixes: Vec::new(),
                });
            }
            _ => return Ok(found),
        };
        // A build before this one wrote no number: there was a line at least.
        if found.lines >= summary.journal_lines.unwrap_or(1) {
            return Ok(found);
        }
        // A teardown that ran meanwhile has removed both.
        if matches!(Summary::of_file(state_dir), Ok(Some(now)) if now == summary) {
            let prefixes = summary.setups.iter().map(|setup| setup.prefix).collect();
            return Err(JournalError::Cut { path, prefixes });
        }
    }
}

/// What the lines add up to.
fn folded(path: &Path, text: &[u8]) -> Result<State, JournalError> {
    let mut state = State::default();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let damaged = |source| JournalError::Damaged {
            path: path.to_owned(),
            line: index + 1,
            source,
        };
        let Versioned { version } = serde_json::from_slice(line).map_err(damaged)?;
        if version > VERSION {
            return Err(JournalError::OtherVersion {
                known: VERSION,
                path: path.to_owned(),
                version,
            });
        }
        let line: Line = serde_json::from_slice(line).map_err(damaged)?;
        state.record(&line);
    }
    Ok(state)
}

/// Opens the journal for appending. A new one is on disk, name and all, before it is written to.
fn open(path: &Path) -> io::Result<File> {
    let file = File::options().append(true).create(true).open(path)?;
    // `v6kit status` needs no privileges for what can be seen without.
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Ready;

    fn here() -> Place {
        Place {
            boot_id: "b".to_owned(),
            network_namespace: inode_of_this_namespace(),
            cookie: None,
            pid_namespace: None,
            init: None,
        }
    }

    fn inode_of_this_namespace() -> u64 {
        Place::here().unwrap().network_namespace
    }

    fn gone(prefix: &str) -> Event {
        Event::Gone {
            prefix: prefix.parse().unwrap(),
        }
    }

    fn ready(prefix: &str) -> Event {
        Event::Ready(Ready {
            prefix: prefix.parse().unwrap(),
            device: "eth0".to_owned(),
            index: None,
            logins: None,
            left_out: Vec::new(),
            for_programs: false,
            route_device: "lo".to_owned(),
            met: Vec::new(),
        })
    }

    #[test]
    fn looking_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::read(dir.path(), here()).unwrap();
        assert!(journal.state().is_empty());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_line_cut_off_by_a_kill_is_ignored_and_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let mut journal = Journal::read(dir.path(), here()).unwrap();
        journal.append(ready("2001:db8:1::/64")).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            fs::write(&path, [&whole[..], &whole[..cut]].concat()).unwrap();
            let mut journal = Journal::read(dir.path(), here()).unwrap();
            assert_eq!(journal.state().setups().count(), 1);
            journal.append(ready("2001:db8:2::/64")).unwrap();
            assert_eq!(
                Journal::read(dir.path(), here())
                    .unwrap()
                    .state()
                    .setups()
                    .count(),
                2
            );
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::read(dir.path(), here()).unwrap();
        journal.append(ready("2001:db8:1::/64")).unwrap();
        let path = dir.path().join(FILE);
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"event\":\"nonsense\"}\n");
        fs::write(&path, text).unwrap();
        let error = Journal::read(dir.path(), here()).unwrap_err();
        assert!(
            matches!(error, JournalError::Damaged { line: 2, .. }),
            "{error:?}"
        );
    }

    #[test]
    fn a_line_of_a_later_format_is_refused_and_one_without_a_format_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let mut journal = Journal::read(dir.path(), here()).unwrap();
        journal.append(ready("2001:db8:1::/64")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\"version\":2,"), "{text}");
        fs::write(&path, text.replace("\"version\":2,", "")).unwrap();
        let old = Journal::read(dir.path(), here()).unwrap();
        assert_eq!(old.state().setups().count(), 1);
        // Whatever else a later format changes.
        fs::write(&path, format!("{text}{{\"version\":4,\"entry\":[]}}\n")).unwrap();
        let error = Journal::read(dir.path(), here()).unwrap_err();
        assert!(
            matches!(
                error,
                JournalError::OtherVersion {
                    known: VERSION,
                    version: 4,
                    ..
                }
            ),
            "{error:?}"
        );
    }

    #[test]
    fn a_namespace_that_got_the_inode_of_an_ended_one_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let with_cookie = |cookie| Place {
            cookie: Some(cookie),
            ..here()
        };
        let mut journal = Journal::read(dir.path(), with_cookie(7)).unwrap();
        journal.append(ready("2001:db8:1::/64")).unwrap();
        let journal = Journal::read(dir.path(), with_cookie(8)).unwrap();
        let (place, _) = journal.state().setups().next().unwrap();
        assert!(!place.is_same(journal.place()));
    }

    #[test]
    fn a_journal_of_another_network_namespace_is_refused_unless_the_host_was_rebooted() {
        let dir = tempfile::tempdir().unwrap();
        // From here the place below seems to be held: this process is in it.
        let mut journal = Journal::read(dir.path(), here()).unwrap();
        journal.append(ready("2001:db8:1::/64")).unwrap();
        let elsewhere = Place {
            network_namespace: 2,
            pid_namespace: Some(2),
            ..here()
        };
        let error = Journal::read(dir.path(), elsewhere.clone()).unwrap_err();
        assert!(matches!(error, JournalError::OtherNamespace { .. }));
        let rebooted = Place {
            boot_id: "c".to_owned(),
            ..elsewhere
        };
        assert!(Journal::read(dir.path(), rebooted).is_ok());
        journal.append(gone("2001:db8:1::/64")).unwrap();
        let elsewhere = Place {
            network_namespace: 2,
            pid_namespace: Some(2),
            ..here()
        };
        assert!(Journal::read(dir.path(), elsewhere).is_ok());
    }
}
