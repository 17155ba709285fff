mod kept;

use std::fs;

use v6kit_model::Counts;

use super::*;
use crate::ledger::Known;
use crate::ledger::contract::{self, HUNDRED, description, frame, leased};

/// Leases all that is open, commits a frame of it, and gives the rest back.
fn commit(ledger: &SqliteLedger, frame: &CommittedFrame) {
    let lease = leased(ledger, u64::MAX);
    assert_eq!(ledger.commit(frame, &[lease.fence]).unwrap(), Commit::Recorded);
    ledger.release(lease.fence).unwrap();
}

#[test]
fn it_keeps_the_contract() {
    let directories = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    contract::check(|extent| {
        number.set(number.get() + 1);
        let directory = directories.path().join(number.get().to_string());
        SqliteLedger::open(&directory, &description("a"), extent).unwrap()
    });
}

#[test]
fn what_is_committed_is_never_leased_again() {
    let directory = tempfile::tempdir().unwrap();
    let job = description("a");
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    let lease = leased(&ledger, 40);
    ledger.commit(&frame(1, 0, 0..30), &[lease.fence]).unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    assert_eq!(ledger.standing().unwrap().left(), 70);
    let lease = leased(&ledger, 1000);
    assert_eq!(
        (lease.ordinals, lease.open_after),
        (Ordinals::from_range(30..100), 0)
    );
    assert_eq!(ledger.lease(1).unwrap(), Leased::Done);
}

#[test]
fn another_job_is_refused_with_the_difference() {
    let directory = tempfile::tempdir().unwrap();
    drop(SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap());
    let error = SqliteLedger::open(directory.path(), &description("b"), HUNDRED).unwrap_err();
    assert!(
        error.to_string().ends_with("url was `a` and is `b` now"),
        "{error}"
    );
}

#[test]
fn a_second_crawl_in_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _first = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap();
    let error = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap_err();
    assert!(matches!(error, LedgerError::Locked { .. }), "{error}");
    assert_eq!(
        SqliteLedger::read(directory.path())
            .unwrap()
            .standing()
            .unwrap()
            .total,
        100
    );
}

#[test]
fn a_ledger_that_was_being_made_when_the_power_went_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let job = description("a");
    for name in ["ledger.sqlite.new", "ledger.sqlite.new-journal"] {
        fs::write(directory.path().join(name), b"half a page").unwrap();
    }
    let error = SqliteLedger::read(directory.path()).unwrap_err();
    assert!(matches!(error, LedgerError::Missing { .. }), "{error}");
    let words = ["crawl".to_owned(), "http://h/".to_owned()];
    let invocation = Invocation {
        words: &words,
        options: &words[1..],
    };
    SqliteLedger::begin(directory.path(), &job, HUNDRED, Some(invocation)).unwrap();
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["ledger.sqlite", "lock"]);
    // What is there is left as it is.
    SqliteLedger::begin(directory.path(), &description("b"), HUNDRED, None).unwrap();
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    assert_eq!(ledger.invocation().unwrap(), words);
    assert_eq!(ledger.options().unwrap(), words[1..]);
    assert_eq!(
        ledger.known_segments().unwrap(),
        BTreeMap::from([(1, Known::Reserved)])
    );
    assert_eq!(ledger.standing().unwrap().left(), 100);
}

#[test]
fn somebody_elses_directory_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.txt"), "mine").unwrap();
    let error = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap_err();
    assert!(matches!(error, LedgerError::Foreign { .. }), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn retried_items_are_leased_once_more_and_stand_until_then() {
    let directory = tempfile::tempdir().unwrap();
    let job = description("a");
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    commit(&ledger, &frame(1, 0, 0..100));
    let scattered = Ordinals::from_list(&mut [3, 5, 90]);
    ledger.retry(vec![(Outcome::Ok, scattered.clone())]).unwrap();
    let standing = ledger.standing().unwrap();
    assert_eq!((standing.left(), standing.retrying), (3, 3));
    let lease = leased(&ledger, 9);
    assert_eq!(lease.ordinals, scattered);
    assert!(ledger.missing().unwrap().is_empty());
    let again = CommittedFrame {
        ordinals: scattered.clone(),
        counts: Counts::of_one(Outcome::Ok, 3),
        ..frame(2, 0, 0..1)
    };
    ledger.commit(&again, &[lease.fence]).unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    assert_eq!(ledger.lease(9).unwrap(), Leased::Done);
    let frames = ledger.frames_within(0..100).unwrap();
    assert_eq!((&frames[0].1, &frames[1].1), (&scattered, &Ordinals::default()));
}

#[test]
fn a_lost_frame_leaves_its_items_open() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap();
    commit(&ledger, &frame(1, 0, 0..50));
    commit(&ledger, &frame(2, 0, 50..100));
    let place = |segment| FramePlace {
        segment,
        offset: 0,
        length: 10,
    };
    ledger.rearrange(&[place(1)], &[(place(2), place(3))]).unwrap();
    assert_eq!(leased(&ledger, 100).ordinals, Ordinals::from_range(0..50));
    assert_eq!(ledger.frames_within(0..100).unwrap()[0].0.place, place(3));
}

#[test]
fn a_billion_items_in_chunks_of_a_hundred_stay_a_small_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let billion = Extent {
        items: 1_000_000_000,
        visited: 1_000_000_000,
    };
    let ledger = SqliteLedger::open(directory.path(), &description("a"), billion).unwrap();
    // Two shards in turn, whose chunks interleave.
    let mut offsets = [0; 2];
    for number in 0..1000 {
        let shard = number as usize % 2;
        let Lease { ordinals, fence, .. } = leased(&ledger, 100);
        let frame = CommittedFrame {
            place: FramePlace {
                segment: shard as u64 + 1,
                offset: offsets[shard],
                length: 6000,
            },
            counts: Counts::of_one(Outcome::Ok, ordinals.count()),
            ordinals,
            span: number..number + 1,
            checksum: 0,
        };
        assert_eq!(ledger.commit(&frame, &[fence]).unwrap(), Commit::Recorded);
        offsets[shard] += 6000;
    }
    let size: u64 = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(size < 1_000_000, "{size} bytes");
    assert_eq!(ledger.standing().unwrap().done.sum(), 100_000);
    assert!(ledger.standing().unwrap().frames < 40, "neighbours are merged");
    assert_eq!(
        leased(&ledger, 100).ordinals,
        Ordinals::from_range(100_000..100_100)
    );
}

#[test]
fn what_several_shards_commit_at_once_and_keep_nothing_of_is_there_afterwards() {
    const SHARDS: u64 = 4;
    const FRAMES: u64 = 50;
    let directory = tempfile::tempdir().unwrap();
    let extent = Extent {
        items: SHARDS * FRAMES,
        visited: SHARDS * FRAMES,
    };
    let ledger = SqliteLedger::open(directory.path(), &description("a"), extent).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..SHARDS {
            let lease = leased(&ledger, FRAMES);
            let ledger = &ledger;
            scope.spawn(move || {
                for ordinal in lease.ordinals.ranges().flatten() {
                    let frame = CommittedFrame {
                        place: FramePlace::nowhere(ordinal),
                        ..frame(0, 0, ordinal..ordinal + 1)
                    };
                    assert_eq!(ledger.commit(&frame, &[lease.fence]).unwrap(), Commit::Recorded);
                    assert_eq!(ledger.segment_lengths().unwrap().len(), 0);
                }
            });
        }
    });
    drop(ledger);
    let ledger = SqliteLedger::open(directory.path(), &description("a"), extent).unwrap();
    let standing = ledger.standing().unwrap();
    assert_eq!((standing.left(), standing.segments, standing.bytes), (0, 0, 0));
}
