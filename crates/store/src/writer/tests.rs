use std::time::{Duration, SystemTime};

use super::*;
use crate::frame::OpenFrame;
use crate::job_directory::JobDirectory;
use crate::ledger::Extent;
use crate::ledger::SqliteLedger;
use crate::ledger::contract::leased;
use crate::record::{Record, Timing};
use crate::segment::SegmentDirectory;
use crate::{Check, KeepFree, Reach, Selection, Storage, cat, check};
use v6kit_model::{ErrorKind, Fault};

const COMPRESSION: Compression = Compression {
    level: 3,
    reach: Reach::OfLevel,
};

fn kept_as(format: Format) -> Storage {
    Storage {
        format,
        ..Storage::default()
    }
}

/// Commits ten frames of one record each, with an archive as `prepare` makes it.
fn store_ten(
    directory: &Path,
    format: Format,
    compression: Compression,
    prepare: impl FnOnce(&mut Archive),
) -> Archive {
    let description = serde_json::json!({ "format": format.as_str() });
    let description = serde_json::from_value(description).unwrap();
    let extent = Extent {
        items: 10,
        visited: 10,
    };
    let JobDirectory { ledger, segments } = JobDirectory::open(directory, &description, extent).unwrap();
    let leases = HeldLeases::default();
    leases.add(leased(&*ledger, 10));
    let disk = Disk::new(segments.clone(), KeepFree::Bytes(0), 0);
    let storage = kept_as(format);
    let mut archive = Archive::new(ledger, segments, leases, disk, &storage, compression);
    prepare(&mut archive);
    let open = OpenFrame::new(&storage, 1, 7);
    let fault = Fault::new(ErrorKind::Dns, "no such name");
    for ordinal in 0..10 {
        let record = Record {
            position: ordinal,
            id: None,
            url: "http://h/",
            status: None,
            from: None,
            at: SystemTime::now(),
            took: Duration::ZERO,
            attempts: 1,
            timing: Timing::default(),
            final_url: None,
            way: crate::record::Way::default(),
            sent: None,
            answer: None,
            fault: Some(&fault),
        };
        open.push(ordinal, &record);
        archive.commit(&mut open.take()).unwrap();
    }
    archive
}

fn files(directory: &Path, format: Format) -> Vec<u64> {
    let store = SegmentDirectory::new(directory, format);
    (1..30).filter(|&number| store.path(number).exists()).collect()
}

fn lines(directory: &Path) -> usize {
    let mut out = Vec::new();
    cat(directory, &Selection::default(), &mut out).unwrap();
    out.iter().filter(|&&byte| byte == b'\n').count()
}

#[test]
fn a_full_segment_is_followed_by_another() {
    for format in [Format::Ndjson, Format::Warc] {
        for (roll_at, segments) in [(1 << 20, 1), (1, 10)] {
            let directory = tempfile::tempdir().unwrap();
            store_ten(directory.path(), format, COMPRESSION, |archive| {
                archive.roll_at = roll_at;
            });
            assert_eq!(files(directory.path(), format).len(), segments, "{format}");
            assert_eq!(lines(directory.path()), 10);
            let Check { items, damages, .. } = check(directory.path()).unwrap();
            assert_eq!((items, damages.len()), (10, 0));
        }
    }
}

#[test]
fn every_level_and_reach_is_read_again() {
    for (level, reach) in [(1, Reach::OfLevel), (3, Reach::Long), (22, Reach::Long)] {
        let directory = tempfile::tempdir().unwrap();
        store_ten(
            directory.path(),
            Format::Ndjson,
            Compression { level, reach },
            |_| {},
        );
        assert_eq!(lines(directory.path()), 10, "{level} {reach:?}");
    }
}

/// Every record is there once, as the ledger has it.
fn assert_whole(directory: &Path) {
    assert_eq!(lines(directory), 10);
    let Check { items, damages, .. } = check(directory).unwrap();
    assert_eq!((items, damages.len()), (10, 0), "{damages:?}");
}

#[cfg(feature = "parquet")]
#[test]
fn small_tables_become_one_when_they_have_enough_rows_and_the_rest_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut archive = store_ten(directory.path(), Format::Parquet, COMPRESSION, |archive| {
        archive.merge_at.records = 4;
    });
    // Each fifth is one that four became.
    assert_eq!(files(directory.path(), Format::Parquet), [5, 10, 11, 12]);
    assert_whole(directory.path());
    archive.close();
    assert_eq!(files(directory.path(), Format::Parquet), [5, 10, 13]);
    assert_whole(directory.path());
    drop(archive);
    let ledger = SqliteLedger::read(directory.path()).unwrap();
    let small = small_files(&ledger, Format::Parquet).unwrap();
    assert_eq!(small.iter().map(|frame| frame.counts.sum()).sum::<u64>(), 10);
    assert!(small_files(&ledger, Format::Ndjson).unwrap().is_empty());
}

#[cfg(feature = "parquet")]
#[test]
fn tables_of_an_earlier_run_are_merged_with_those_of_this_one() {
    let directory = tempfile::tempdir().unwrap();
    let archive = store_ten(directory.path(), Format::Parquet, COMPRESSION, |_| {});
    drop(archive);
    assert_eq!(files(directory.path(), Format::Parquet).len(), 10);
    let JobDirectory { ledger, segments } = JobDirectory::reopen(directory.path()).unwrap();
    let small = small_files(&ledger, Format::Parquet).unwrap();
    let disk = Disk::new(segments.clone(), KeepFree::Bytes(0), 0);
    let leases = HeldLeases::default();
    let mut archive = Archive::new(
        ledger,
        segments,
        leases,
        disk,
        &kept_as(Format::Parquet),
        COMPRESSION,
    );
    archive.adopt(small);
    archive.close();
    assert_eq!(files(directory.path(), Format::Parquet), [11]);
    assert_whole(directory.path());
}

#[cfg(feature = "parquet")]
#[test]
fn a_merge_that_came_to_no_end_leaves_every_record_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    drop(store_ten(directory.path(), Format::Parquet, COMPRESSION, |_| {}));
    let copies = tempfile::tempdir().unwrap();
    let path = |number| SegmentDirectory::new(directory.path(), Format::Parquet).path(number);
    for number in 1..=10 {
        let copy = SegmentDirectory::new(copies.path(), Format::Parquet).path(number);
        std::fs::copy(path(number), copy).unwrap();
    }
    // Killed before the ledger knew of the merged file: it goes.
    {
        let JobDirectory { segments, .. } = JobDirectory::reopen(directory.path()).unwrap();
        let mut sink = segments.create().unwrap();
        sink.append(b"merged").unwrap();
        sink.seal().unwrap();
    }
    assert_eq!(files(directory.path(), Format::Parquet).len(), 11);
    drop(JobDirectory::reopen(directory.path()).unwrap());
    assert_eq!(
        files(directory.path(), Format::Parquet),
        (1..=10).collect::<Vec<_>>()
    );
    assert_whole(directory.path());
    // Killed when the ledger knew of it, and the small files were still there: they go.
    let JobDirectory { ledger, segments } = JobDirectory::reopen(directory.path()).unwrap();
    let small = small_files(&ledger, Format::Parquet).unwrap();
    let disk = Disk::new(segments.clone(), KeepFree::Bytes(0), 0);
    let mut archive = Archive::new(
        ledger,
        segments,
        HeldLeases::default(),
        disk,
        &kept_as(Format::Parquet),
        COMPRESSION,
    );
    archive.adopt(small);
    archive.close();
    drop(archive);
    for number in 1..=10 {
        let copy = SegmentDirectory::new(copies.path(), Format::Parquet).path(number);
        std::fs::copy(copy, path(number)).unwrap();
    }
    assert_whole(directory.path());
    drop(JobDirectory::reopen(directory.path()).unwrap());
    assert_eq!(files(directory.path(), Format::Parquet).len(), 1);
    assert_whole(directory.path());
}
