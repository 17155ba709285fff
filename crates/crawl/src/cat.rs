//! Reading a job directory back.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::Hint;
use crate::job::Description;
use crate::ledger::{LedgerError, SqliteLedger, Standing};

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A committed frame cannot be read.
    #[error("{} cannot be read at byte {offset}", path.display())]
    Frame {
        /// The segment.
        path: std::path::PathBuf,
        /// Where the frame begins.
        offset: u64,
        /// What was wrong.
        #[source]
        source: io::Error,
    },
    /// Whoever reads the records does not take them.
    #[error("the records cannot be written")]
    Output(#[source] io::Error),
}

impl Hint for CatError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Ledger(error) => error.hint(),
            Self::Frame { .. } => Some("the segment was changed or cut by somebody else".to_owned()),
            Self::Output(_) => None,
        }
    }
}

/// Writes the committed records of a job to `out`, a line each, frame by frame in the order of visiting.
///
/// # Errors
/// [`CatError`].
pub fn cat(directory: &Path, out: &mut impl Write) -> Result<(), CatError> {
    let ledger = SqliteLedger::read(directory)?;
    let mut buffer = vec![0; 256 << 10];
    for frame in ledger.frames()? {
        let path = ledger.segment_path(frame.place);
        let failed = |source| CatError::Frame {
            path: path.clone(),
            offset: frame.place.offset,
            source,
        };
        let mut file = File::open(&path).map_err(failed)?;
        file.seek(SeekFrom::Start(frame.place.offset)).map_err(failed)?;
        let frame = BufReader::new(file.take(frame.place.length));
        let mut records = zstd::stream::read::Decoder::with_buffer(frame).map_err(failed)?;
        loop {
            let read = records.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                break;
            }
            out.write_all(&buffer[..read]).map_err(CatError::Output)?;
        }
    }
    out.flush().map_err(CatError::Output)
}

/// What a job directory holds: the job, and how far it has come.
///
/// # Errors
/// [`LedgerError`].
pub fn standing(directory: &Path) -> Result<(Description, Standing), LedgerError> {
    use crate::ledger::Ledger;
    let ledger = SqliteLedger::read(directory)?;
    Ok((ledger.description()?, ledger.standing()?))
}
