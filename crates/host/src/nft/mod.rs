//! The nftables table `inet v6kit`, and what other tables mean for us, through nft(8).

mod listing;
mod own;
mod rotation;
mod rules;
pub(crate) mod ruleset;

use std::io;
use std::time::Duration;

use v6kit_net::{Code, Hint, ProgramError, run_system_program};

pub(crate) use listing::{closing_prefix, describe_listing, is_same_listing, owner};
pub(crate) use own::OwnAddresses;
pub(crate) use rotation::{
    MOST, MOST_ON_LINK, ROTATION_REVISION, RotationRules, describe_rotation, read_rotation, rotation_table,
    write_rotation,
};
pub(crate) use rules::{InboundRules, NotrackRules, REVISION, Rules, script};
pub(crate) use ruleset::Ruleset;

use crate::owner::Owner;
use crate::value::Value;

/// How long nft may take. A listing without the elements of sets takes a second where there are very many rules.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why nft did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NftError {
    /// There is no nft to run.
    #[error("nft is not installed")]
    Missing,
    /// It cannot be run, for another reason.
    #[error("nft cannot be run")]
    Run(#[source] io::Error),
    /// It did not end.
    #[error("{0}")]
    TooLong(String),
    /// It ran and failed.
    #[error("nft: {message}")]
    Failed {
        /// Its first line about it.
        message: String,
    },
    /// It printed something that is no ruleset.
    #[error("nft printed something unexpected")]
    Output(#[source] serde_json::Error),
}

impl NftError {
    /// Whether what was asked for is not there.
    fn is_absence(&self) -> bool {
        matches!(self, Self::Failed { message } if message.contains("No such file or directory"))
    }

    /// Whether CAP_NET_ADMIN is missing.
    pub(crate) fn is_denial(&self) -> bool {
        matches!(self, Self::Failed { message } if message.contains("Operation not permitted"))
    }
}

impl Hint for NftError {
    fn code(&self) -> Code {
        match self {
            Self::Missing => Code::NoNft,
            Self::Run(_) | Self::TooLong(_) | Self::Failed { .. } | Self::Output(_) => Code::Nft,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing => "install it: `sudo apt install nftables`".to_owned(),
            Self::Run(_) => "check the nft program: `nft --version`".to_owned(),
            Self::TooLong(_) => {
                "see whether it ends by itself: `sudo timeout 60 nft -t list ruleset`; which one is run: `command -v nft`".to_owned()
            }
            Self::Failed { .. } | Self::Output(_) => {
                "see what nft says by itself: `sudo nft list ruleset`".to_owned()
            }
        })
    }
}

/// The version of nft, as in `1.0.6`. Needs no privileges.
pub(crate) fn version() -> Result<String, NftError> {
    // nftables v1.0.6 (Lester Gooch #5)
    let output = run(&["--version"], "")?;
    let word = output.split_whitespace().nth(1).unwrap_or("of unknown version");
    Ok(word.trim_start_matches('v').to_owned())
}

/// Reads the rules of this network namespace; without the elements of sets, of which there may be very many.
/// Our tables that translate are read whole.
pub(crate) fn ruleset() -> Result<Ruleset, NftError> {
    let mut ruleset = ruleset_without_elements()?;
    for (table, listing) in &mut ruleset.rotations {
        *listing = read_rotation(table)?;
    }
    Ok(ruleset)
}

/// [`ruleset`] without looking into our own maps.
pub(crate) fn ruleset_without_elements() -> Result<Ruleset, NftError> {
    let output = run(&["-j", "-t", "list", "ruleset"], "")?;
    Ok(Ruleset::parse(&document(&output)?))
}

/// The listing of our table, absent where there is none.
pub(crate) fn read() -> Result<Value, NftError> {
    match run(&["-j", "-t", "list", "table", "inet", "v6kit"], "") {
        Ok(output) => Ok(Ruleset::parse(&document(&output)?).table),
        Err(error) if error.is_absence() => Ok(Value::ABSENT),
        Err(error) => Err(error),
    }
}

/// Makes our table what `script` says, or removes it, in one transaction. What follows the addresses of this
/// host is filled with `own`, and the table carries the mark of `owner`.
pub(crate) fn write(script: &Value, own: &OwnAddresses, owner: &Owner) -> Result<(), NftError> {
    let text = match script.as_text() {
        Some(script) => format!("{script}{}{}", own.fill(), rules::mark(owner)),
        // A table must exist to be deleted, and adding one that exists is no error.
        None => "add table inet v6kit\ndelete table inet v6kit\n".to_owned(),
    };
    run(&["-f", "-"], &text).map(|_| ())
}

/// The own addresses that our table knows; `None` where it has no such set.
pub(crate) fn read_own() -> Result<Option<OwnAddresses>, NftError> {
    let list = |set| run(&["-j", "list", "set", "inet", "v6kit", set], "");
    match list(own::ALL).and_then(|all| Ok((all, list(own::BY_DEVICE)?))) {
        Ok((all, by_device)) => Ok(Some(OwnAddresses::parse(
            &document(&all)?,
            &document(&by_device)?,
        ))),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Has our table know `own` from now on.
pub(crate) fn write_own(own: &OwnAddresses) -> Result<(), NftError> {
    run(&["-f", "-"], &own.fill()).map(|_| ())
}

fn document(output: &str) -> Result<serde_json::Value, NftError> {
    serde_json::from_str(output).map_err(NftError::Output)
}

/// Runs nft with `input`. It inherits the lock on the state directory, so that nobody else starts while
/// an nft of a killed run is still at work.
fn run(arguments: &[&str], input: &str) -> Result<String, NftError> {
    let output =
        run_system_program("nft", arguments, input.as_bytes(), PATIENCE).map_err(|error| match error {
            error if error.is_missing() => NftError::Missing,
            ProgramError::TooLong { .. } => NftError::TooLong(error.to_string()),
            error => NftError::Run(error.into_io()),
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let message = stderr
        .lines()
        .find_map(|line| line.split_once("Error: ").map(|(_, message)| message.trim()))
        .or_else(|| stderr.lines().find(|line| !line.trim().is_empty()))
        .map_or_else(|| output.status.to_string(), |line| line.trim().to_owned());
    Err(NftError::Failed { message })
}
