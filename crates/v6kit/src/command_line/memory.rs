//! The memory in which the kernel keeps the words of a process (`arg_start` and `arg_end` of proc(5)).

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use procfs::process::Process;

/// What a secret is overwritten with.
const COVER: u8 = b'*';

/// Overwrites `parts` of `words`, the words that this process was started with.
///
/// It writes through `/proc/self/mem`, which takes no unsafe code and works with every C library. The memory belongs to
/// the C runtime; the standard library copies a word whenever it is asked for one, and keeps no reference.
///
/// # Errors
/// The kernel does not let this process write there, as when it may not be traced (prctl(2), `PR_SET_DUMPABLE`), or
/// something else than `words` is there. Then nothing was written.
pub(super) fn overwrite(words: &[&[u8]], parts: &[Option<Range<usize>>]) -> Result<()> {
    let stat = Process::myself()
        .and_then(|this| this.stat())
        .map_err(Error::other)?;
    let (Some(start), Some(end)) = (stat.arg_start, stat.arg_end) else {
        return Err(Error::other("the kernel does not say where they are"));
    };
    let memory = OpenOptions::new().read(true).write(true).open("/proc/self/mem")?;
    require(&memory, start, end, words)?;
    let mut at = start;
    for (word, part) in words.iter().zip(parts) {
        if let Some(part) = part {
            memory.write_all_at(&vec![COVER; part.len()], at + part.start as u64)?;
        }
        at += word.len() as u64 + 1;
    }
    Ok(())
}

/// Requires that `words`, each with a NUL behind it, are what is from `start` to `end`.
fn require(memory: &File, start: u64, end: u64, words: &[&[u8]]) -> Result<()> {
    let expected: Vec<u8> = words
        .iter()
        .flat_map(|word| word.iter().copied().chain([0]))
        .collect();
    let mut found = vec![0; expected.len()];
    if end.checked_sub(start) == Some(expected.len() as u64) {
        memory.read_exact_at(&mut found, start)?;
        if found == expected {
            return Ok(());
        }
    }
    Err(Error::new(
        ErrorKind::InvalidData,
        "they are not where the kernel says",
    ))
}
