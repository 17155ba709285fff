//! What a ledger holds in memory while it is open: leases, and the rows that still grow.

use std::collections::BTreeMap;

use v6kit_model::Ordinals;

use super::rows::StoredFrame;
use crate::ledger::{CommittedFrame, Fence, FramePlace, Standing};

/// Neighbouring frames share a row up to this many bytes: what is finished costs the ledger four rows per MiB,
/// however small the frames were.
const ROW_BYTES: u64 = 256 << 10;

/// ... and up to this many ranges of ordinals.
const ROW_RANGES: usize = 1000;

/// Segments whose last rows are remembered: those of all shards, and far more than are written at a time.
pub(super) const MOST_TAILS: usize = 1024;

/// What is open, leased and recorded while the ledger is open.
#[derive(Debug, Default)]
pub(super) struct Bookkeeping {
    pub(super) open: Ordinals,
    pub(super) standing: Standing,
    pub(super) generation: u32,
    /// What is leased and not committed.
    pub(super) leases: BTreeMap<Fence, Ordinals>,
    pub(super) last_fence: u64,
    /// The last row of each segment that is being written.
    pub(super) tails: BTreeMap<u64, StoredFrame>,
}

impl Bookkeeping {
    /// Whether the frame was committed since the ledger was opened: segments only grow, and where nothing is kept, the
    /// ordinals tell.
    pub(super) fn is_committed(&self, frame: &CommittedFrame) -> bool {
        let place = frame.place;
        self.tails.get(&place.segment).is_some_and(|tail| {
            if place.is_nowhere() {
                return frame.ordinals.without(&tail.frame.ordinals).is_empty();
            }
            let end = tail.frame.place.offset + tail.frame.place.length;
            place.offset + place.length <= end
        })
    }

    /// Whether all of `ordinals` are leased under one of `fences`.
    pub(super) fn holds(&self, ordinals: &Ordinals, fences: &[Fence]) -> bool {
        let mut rest = ordinals.clone();
        for lease in fences.iter().filter_map(|fence| self.leases.get(fence)) {
            rest = rest.without(lease);
        }
        rest.is_empty()
    }

    /// Takes what is committed out of the leases.
    pub(super) fn settle(&mut self, committed: &Ordinals, fences: &[Fence]) {
        for fence in fences {
            if let Some(lease) = self.leases.get_mut(fence) {
                *lease = lease.without(committed);
                if lease.is_empty() {
                    self.leases.remove(fence);
                }
            }
        }
    }

    /// The row that holds `frame`: the one before it when they are neighbours and small.
    pub(super) fn row_for(&self, frame: &CommittedFrame) -> (StoredFrame, bool) {
        let joined = self
            .tails
            .get(&frame.place.segment)
            .and_then(|tail| tail.joined_with(frame));
        match joined {
            Some(row) => (row, true),
            None => {
                let row = StoredFrame {
                    generation: self.generation,
                    frame: frame.clone(),
                };
                (row, false)
            }
        }
    }
}

impl StoredFrame {
    fn joined_with(&self, next: &CommittedFrame) -> Option<Self> {
        let mut row = self.clone();
        let FramePlace { offset, length, .. } = row.frame.place;
        let is_neighbour = row.frame.place.is_nowhere()
            || offset + length == next.place.offset && length + next.place.length <= ROW_BYTES;
        if !is_neighbour || row.frame.ordinals.range_count() > ROW_RANGES {
            return None;
        }
        let mut checksum = crc32fast::Hasher::new_with_initial_len(row.frame.checksum, length);
        checksum.combine(&crc32fast::Hasher::new_with_initial_len(
            next.checksum,
            next.place.length,
        ));
        row.frame.checksum = checksum.finalize();
        row.frame.place.length += next.place.length;
        row.frame.ordinals.add(&next.ordinals);
        row.frame.counts.add_all(&next.counts);
        row.frame.span.end = next.span.end;
        Some(row)
    }
}
