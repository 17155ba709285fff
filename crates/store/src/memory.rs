//! How much memory the records of a crawl may take.

use crate::storage::{Format, Reach};

/// Memory for frames over all shards: each has one open, some waiting, and one being written.
const MEMORY: usize = 12 << 20;

/// The same where large frames pay: a file each, or searched as a whole for what is alike.
const LARGE_MEMORY: usize = 64 << 20;

/// How many frames a shard has in memory at most: one open, one being written, and those that wait.
const FRAMES: usize = 2 + MemoryBudget::WAITING;

/// The memory for records that are not on the disk yet, shared out to the shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget {
    shards: usize,
    frame_bytes: usize,
}

impl MemoryBudget {
    /// Frames of a shard that may wait for the disk before its slots wait too.
    pub const WAITING: usize = 2;

    /// The budget of `shards` shards that write in `format` and compress with `reach`.
    #[must_use]
    pub fn new(format: Format, reach: Reach, shards: usize) -> Self {
        let frames = shards * FRAMES;
        let frame_bytes = if format == Format::Parquet || reach == Reach::Long {
            (LARGE_MEMORY / frames).clamp(1 << 20, 16 << 20)
        } else {
            (MEMORY / frames).clamp(256 << 10, 4 << 20)
        };
        Self { shards, frame_bytes }
    }

    /// The size in bytes at which a frame counts as full.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// The bytes that everything in memory may need on the disk.
    #[must_use]
    pub fn reserve_bytes(&self) -> u64 {
        (self.frame_bytes * self.shards * FRAMES) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(format: Format, reach: Reach, shards: usize) -> MemoryBudget {
        MemoryBudget::new(format, reach, shards)
    }

    #[test]
    fn frames_share_the_memory_between_bounds() {
        let frame = |shards| budget(Format::Ndjson, Reach::OfLevel, shards).frame_bytes();
        assert_eq!(frame(1), 3 << 20);
        assert_eq!(frame(4), 768 << 10);
        assert_eq!(frame(1000), 256 << 10, "smaller ones do not pay");
        assert_eq!(budget(Format::Parquet, Reach::OfLevel, 1).frame_bytes(), 16 << 20);
        assert_eq!(budget(Format::Ndjson, Reach::Long, 1000).frame_bytes(), 1 << 20);
    }

    #[test]
    fn the_disk_has_room_for_all_that_is_in_memory() {
        let budget = budget(Format::Warc, Reach::OfLevel, 4);
        assert_eq!(budget.reserve_bytes(), 12 << 20);
    }
}
