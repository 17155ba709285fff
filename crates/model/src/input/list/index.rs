//! Where the lines of a list begin.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::Xxh3;

use super::{BUFFER, LONGEST_LINE, ListError};
use crate::input::foreign_form::sniff;
use crate::input::packing::Packing;

/// The index has at most so many marks: 16 MiB, for however many lines.
const MARKS: usize = 1 << 20;

const FIRST_STRIDE: u64 = 64;

/// What stands at the beginning of a text and is no part of it (RFC 3629 section 6).
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where every so many of the lines that are not blank begin, and what tells this list from others.
#[derive(Debug)]
pub(super) struct Index {
    marks: Vec<Mark>,
    /// How many lines lie between two marks.
    pub(super) stride: u64,
    /// The number of lines that are not blank.
    pub(super) count: u64,
    /// In bytes.
    pub(super) length: u64,
    pub(super) digest: u64,
}

/// Where a line begins, and its number in the file from 1.
#[derive(Debug, Clone, Copy)]
struct Mark {
    offset: u64,
    line: u64,
}

impl Index {
    /// Reads `file` through once, which was packed so. Errors call it `what`.
    pub(super) fn read(file: &File, what: &str, packing: Packing) -> Result<Self, ListError> {
        let mut scan = Scan::default();
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = file.read_at(&mut buffer, scan.offset);
            let read = read.map_err(|source| ListError::Read {
                what: what.to_owned(),
                source,
            })?;
            if read == 0 {
                break;
            }
            if scan.offset == 0
                && let Some(form) = sniff(&buffer[..read])
            {
                let what = what.to_owned();
                return Err(ListError::Form { what, form, packing });
            }
            scan.add(&buffer[..read]);
            if scan.longest > LONGEST_LINE || scan.offset - scan.line_start > LONGEST_LINE {
                return Err(ListError::LongLine {
                    what: what.to_owned(),
                    line: scan.longest_line.unwrap_or(scan.line),
                });
            }
        }
        scan.end_line();
        Ok(Self {
            marks: scan.marks,
            stride: scan.stride,
            count: scan.count,
            length: scan.offset,
            digest: scan.hasher.digest(),
        })
    }

    /// The bytes of the file from mark `number` to the next, and the number of their first line.
    pub(super) fn block(&self, number: u64) -> (Range<u64>, u64) {
        let index = number as usize;
        let start = self.marks[index];
        let end = self.marks.get(index + 1).map_or(self.length, |mark| mark.offset);
        (start.offset..end, start.line)
    }
}

/// The state of reading through a list.
struct Scan {
    marks: Vec<Mark>,
    stride: u64,
    count: u64,
    offset: u64,
    hasher: Xxh3,
    line_start: u64,
    line: u64,
    blank: bool,
    /// The length of the longest line so far, and the number of the first that is too long.
    longest: u64,
    longest_line: Option<u64>,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            marks: Vec::new(),
            stride: FIRST_STRIDE,
            count: 0,
            offset: 0,
            hasher: Xxh3::new(),
            line_start: 0,
            line: 1,
            blank: true,
            longest: 0,
            longest_line: None,
        }
    }
}

impl Scan {
    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        let mut rest = 0;
        if self.offset == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
            rest = BYTE_ORDER_MARK.len();
            self.line_start = rest as u64;
        }
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.see(&bytes[rest..end]);
            self.end_line();
            let next = self.offset + end as u64 + 1;
            self.longest = self.longest.max(next - self.line_start);
            if self.longest > LONGEST_LINE {
                self.longest_line.get_or_insert(self.line);
            }
            self.line += 1;
            self.line_start = next;
            rest = end + 1;
        }
        self.see(&bytes[rest..]);
        self.offset += bytes.len() as u64;
    }

    fn see(&mut self, part: &[u8]) {
        self.blank &= part.trim_ascii().is_empty();
    }

    fn end_line(&mut self) {
        if !std::mem::replace(&mut self.blank, true) {
            if self.count.is_multiple_of(self.stride) {
                self.mark();
            }
            self.count += 1;
        }
    }

    fn mark(&mut self) {
        self.marks.push(Mark {
            offset: self.line_start,
            line: self.line,
        });
        if self.marks.len() >= MARKS {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }
}
