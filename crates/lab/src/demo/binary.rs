//! The real binary, run in the lab with `--json`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::LabError;
use crate::isolate::Entered;
use crate::lab::Lab;

/// Runs v6kit in a lab.
pub(super) struct Binary<'a> {
    lab: &'a Lab,
    entered: &'a Entered,
    program: &'a Path,
}

/// What a run of the binary left.
pub(super) struct Answer {
    command: String,
    pub(super) status: u8,
    stdout: String,
    stderr: String,
}

/// Why a step cannot go on.
pub(super) enum Halt {
    /// The lab is broken.
    Lab(LabError),
    /// A command did something else than the story says.
    Surprise { reason: String, hint: Option<String> },
    /// Somebody wants to stop.
    Interrupted,
}

impl From<LabError> for Halt {
    fn from(error: LabError) -> Self {
        Self::Lab(error)
    }
}

impl<'a> Binary<'a> {
    pub(super) fn new(lab: &'a Lab, entered: &'a Entered, program: &'a Path) -> Self {
        Self {
            lab,
            entered,
            program,
        }
    }

    /// Runs `v6kit --json ARGUMENTS` to its end.
    pub(super) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Answer, Halt> {
        // Files in memory: nobody has to read them while the command runs, however much it says.
        let (mut stdout, mut stderr) = (memory_file()?, memory_file()?);
        let mut command = Command::new(self.program);
        command
            .arg("--json")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(copy(&stdout)?)
            .stderr(copy(&stderr)?);
        let ended = self.lab.run_to_its_end(self.entered, command)?;
        if ended.interrupted {
            return Err(Halt::Interrupted);
        }
        let words: Vec<OsString> = arguments.iter().map(|word| word.as_ref().to_owned()).collect();
        Ok(Answer {
            command: words.join(OsStr::new(" ")).to_string_lossy().into_owned(),
            status: ended.status,
            stdout: contents(&mut stdout)?,
            stderr: contents(&mut stderr)?,
        })
    }
}

impl Answer {
    /// The document, if the command ended with one of `statuses`.
    pub(super) fn document<T: DeserializeOwned>(&self, statuses: &[u8]) -> Result<T, Halt> {
        if !statuses.contains(&self.status) {
            return Err(self.surprise(&match self.status {
                status @ 129.. => format!("was ended by signal {}", status - 128),
                status => format!("ended with {status}"),
            }));
        }
        serde_json::from_str(&self.stdout)
            .map_err(|error| self.surprise(&format!("printed another document than expected ({error})")))
    }

    /// Its error, or whatever it said last.
    fn last_words(&self) -> Option<String> {
        let errors = self.stderr.lines().find(|line| line.starts_with("error:"));
        errors.or(self.stderr.lines().last()).map(ToOwned::to_owned)
    }

    fn surprise(&self, how: &str) -> Halt {
        let error = serde_json::from_str::<Document>(&self.stdout)
            .ok()
            .map(|document| document.error);
        let (what, hint) = match error {
            Some(Explained { what, why, hint }) => (
                Some(why.map_or_else(|| what.clone(), |why| format!("{what}: {why}"))),
                hint,
            ),
            None => (self.last_words(), None),
        };
        let what = what.map(|what| format!(": {what}")).unwrap_or_default();
        Halt::Surprise {
            reason: format!("`v6kit {}` {how}{what}", self.command),
            hint,
        }
    }
}

/// How the binary reports a failure.
#[derive(Deserialize)]
struct Document {
    error: Explained,
}

#[derive(Deserialize)]
struct Explained {
    what: String,
    why: Option<String>,
    hint: Option<String>,
}

fn memory_file() -> Result<File, LabError> {
    memfd_create("output", MFdFlags::MFD_CLOEXEC)
        .map(File::from)
        .map_err(|source| LabError::system("make a file in memory", source))
}

fn copy(file: &File) -> Result<File, LabError> {
    file.try_clone()
        .map_err(|source| LabError::system("copy a file descriptor", source))
}

fn contents(file: &mut File) -> Result<String, LabError> {
    let cannot = |source: io::Error| LabError::system("read the output of a command", source);
    let mut bytes = Vec::new();
    file.rewind().map_err(cannot)?;
    file.read_to_end(&mut bytes).map_err(cannot)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
