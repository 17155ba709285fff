//! Lines that stand in a list more than once.
//!
//! They are found by sorting, in runs that fit into memory and lie on the disk, so that a list of any length takes the
//! same memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is held in memory of a list before it is sorted and laid down, in bytes.
const RUN_BYTES: usize = 64 << 20;

/// What is read of a run at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Sorts texts with numbers, by the text and then by the number.
pub(super) struct Sorter {
    directory: PathBuf,
    most: usize,
    texts: Vec<u8>,
    entries: Vec<(Range<usize>, u64)>,
    runs: Vec<File>,
}

impl Sorter {
    /// One that lays its runs down in `directory`, in files without a name.
    pub(super) fn new(directory: &Path) -> Self {
        Self::with_runs_of(directory, RUN_BYTES)
    }

    fn with_runs_of(directory: &Path, most: usize) -> Self {
        Self {
            directory: directory.to_owned(),
            most,
            texts: Vec::new(),
            entries: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Adds `text` with `number`.
    pub(super) fn push(&mut self, text: &[u8], number: u64) -> io::Result<()> {
        let held = self.texts.len() + self.entries.len() * size_of::<(Range<usize>, u64)>();
        if held + text.len() > self.most && !self.entries.is_empty() {
            self.lay_down()?;
        }
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        self.entries.push((start..self.texts.len(), number));
        Ok(())
    }

    fn lay_down(&mut self) -> io::Result<()> {
        let texts = &self.texts;
        self.entries.sort_unstable_by(|(one, first), (other, second)| {
            texts[one.clone()]
                .cmp(&texts[other.clone()])
                .then(first.cmp(second))
        });
        let mut run = BufWriter::new(tempfile::tempfile_in(&self.directory)?);
        for (range, number) in &self.entries {
            run.write_all(&number.to_le_bytes())?;
            run.write_all(&(range.len() as u64).to_le_bytes())?;
            run.write_all(&texts[range.clone()])?;
        }
        let mut run = run.into_inner().map_err(io::IntoInnerError::into_error)?;
        run.rewind()?;
        self.runs.push(run);
        self.texts.clear();
        self.entries.clear();
        Ok(())
    }

    /// Everything in its order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        if !self.entries.is_empty() {
            self.lay_down()?;
        }
        let mut sorted = Sorted {
            runs: Vec::with_capacity(self.runs.len()),
            heads: BinaryHeap::new(),
        };
        for (index, run) in self.runs.into_iter().enumerate() {
            sorted.runs.push(BufReader::with_capacity(READ_BYTES, run));
            sorted.advance(index)?;
        }
        Ok(sorted)
    }
}

/// What a [`Sorter`] was given, in order.
pub(super) struct Sorted {
    runs: Vec<BufReader<File>>,
    /// The next of each run, with its index.
    heads: BinaryHeap<Reverse<(Vec<u8>, u64, usize)>>,
}

impl Sorted {
    fn advance(&mut self, index: usize) -> io::Result<()> {
        let run = &mut self.runs[index];
        let (mut number, mut length) = ([0; 8], [0; 8]);
        match run.read_exact(&mut number) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        run.read_exact(&mut length)?;
        let mut text = vec![0; u64::from_le_bytes(length) as usize];
        run.read_exact(&mut text)?;
        self.heads
            .push(Reverse((text, u64::from_le_bytes(number), index)));
        Ok(())
    }

    /// The next text with its number.
    pub(super) fn next(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        let Some(Reverse((text, number, index))) = self.heads.pop() else {
            return Ok(None);
        };
        self.advance(index)?;
        Ok(Some((text, number)))
    }
}

/// The numbers of those texts in ascending order that were there before under a lower number.
pub(super) fn repeated(sorter: Sorter) -> io::Result<Sorted> {
    let mut numbers = Sorter::with_runs_of(&sorter.directory, sorter.most);
    let mut sorted = sorter.sorted()?;
    let mut before: Option<Vec<u8>> = None;
    while let Some((text, number)) = sorted.next()? {
        if before.as_ref() == Some(&text) {
            numbers.push(&number.to_be_bytes(), number)?;
        } else {
            before = Some(text);
        }
    }
    numbers.sorted()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn whatever_comes_again_is_found_however_small_the_runs_are() {
        let directory = tempfile::tempdir().unwrap();
        // Texts that begin alike, hold zeros, and are empty; each several times, far apart and near.
        let texts: Vec<Vec<u8>> = (0_u32..3000)
            .map(|n| match n % 7 {
                0 => Vec::new(),
                1 => vec![0; (n % 5) as usize],
                2 => format!("http://h/{}", n % 100).into_bytes(),
                3 => format!("http://h/{n}").into_bytes(),
                _ => format!("http://h/{}\0{}", n % 3, n % 11).into_bytes(),
            })
            .collect();
        let mut seen = HashSet::new();
        let expected: Vec<u64> = (0..)
            .zip(&texts)
            .filter(|(_, text)| !seen.insert(*text))
            .map(|(number, _)| number)
            .collect();
        for most in [2000, 20_000, RUN_BYTES] {
            let mut sorter = Sorter::with_runs_of(directory.path(), most);
            for (number, text) in (0..).zip(&texts) {
                sorter.push(text, number).unwrap();
            }
            let mut found = repeated(sorter).unwrap();
            let mut numbers = Vec::new();
            while let Some((_, number)) = found.next().unwrap() {
                numbers.push(number);
            }
            assert_eq!(numbers, expected, "runs of {most} bytes");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
