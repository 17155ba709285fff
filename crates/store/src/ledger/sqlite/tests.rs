use super::*;
use v6kit_model::Counts;

const HUNDRED: Extent = Extent {
    items: 100,
    visited: 100,
};

fn description(url: &str) -> Description {
    serde_json::from_value(serde_json::json!({ "url": url })).unwrap()
}

fn frame(segment: u64, offset: u64, ordinals: Range<u64>) -> CommittedFrame {
    let mut counts = Counts::default();
    ordinals.clone().for_each(|_| counts.add(Outcome::Ok));
    CommittedFrame {
        place: FramePlace {
            segment,
            offset,
            length: 10,
        },
        ordinals: Ordinals::from_range(ordinals),
        counts,
        span: 0..1,
        checksum: 0,
    }
}

#[test]
fn what_is_committed_is_never_leased_again() {
    let directory = tempfile::tempdir().unwrap();
    let job = description("a");
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    assert_eq!(
        ledger.lease(40).unwrap().unwrap().ordinals,
        Ordinals::from_range(0..40)
    );
    ledger.commit(&frame(1, 0, 0..30)).unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    assert_eq!(ledger.standing().unwrap().left(), 70);
    let chunk = ledger.lease(1000).unwrap().unwrap();
    assert_eq!(
        (chunk.ordinals, chunk.open_after),
        (Ordinals::from_range(30..100), 0)
    );
    assert_eq!(ledger.lease(1).unwrap(), None);
    ledger.give_back(&Ordinals::from_range(50..60)).unwrap();
    assert_eq!(
        ledger.lease(1000).unwrap().unwrap().ordinals,
        Ordinals::from_range(50..60)
    );
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
fn somebody_elses_directory_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.txt"), "mine").unwrap();
    let error = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap_err();
    assert!(matches!(error, LedgerError::Foreign { .. }), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn segments_are_cut_back_to_what_was_committed() {
    let directory = tempfile::tempdir().unwrap();
    let job = description("a");
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    let path = |number| Segment::path(directory.path(), number, Format::Ndjson);
    fs::write(path(1), [1; 25]).unwrap();
    fs::write(path(2), [1; 5]).unwrap();
    ledger.commit(&frame(1, 0, 0..10)).unwrap();
    ledger.commit(&frame(1, 10, 10..20)).unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    assert_eq!(fs::metadata(path(1)).unwrap().len(), 20);
    assert!(!path(2).exists());
    assert_eq!(ledger.next_segment(), 3);
}

#[test]
fn retried_items_are_leased_once_more_and_stand_until_then() {
    let directory = tempfile::tempdir().unwrap();
    let job = description("a");
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    ledger.lease(100).unwrap();
    ledger.commit(&frame(1, 0, 0..100)).unwrap();
    let scattered = Ordinals::from_list(&mut [3, 5, 90]);
    ledger.retry(vec![(Outcome::Ok, scattered.clone())]).unwrap();
    let standing = ledger.standing().unwrap();
    assert_eq!((standing.left(), standing.retrying), (3, 3));
    assert_eq!(ledger.lease(9).unwrap().unwrap().ordinals, scattered);
    assert!(ledger.missing().unwrap().is_empty());
    let again = CommittedFrame {
        ordinals: scattered.clone(),
        counts: Counts::of_one(Outcome::Ok, 3),
        ..frame(2, 0, 0..1)
    };
    ledger.commit(&again).unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(directory.path(), &job, HUNDRED).unwrap();
    assert_eq!(ledger.lease(9).unwrap(), None);
    let frames = ledger.frames_within(0..100).unwrap();
    assert_eq!((&frames[0].1, &frames[1].1), (&scattered, &Ordinals::default()));
}

#[test]
fn a_lost_frame_leaves_its_items_open() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap();
    ledger.commit(&frame(1, 0, 0..50)).unwrap();
    ledger.commit(&frame(2, 0, 50..100)).unwrap();
    let place = |segment| FramePlace {
        segment,
        offset: 0,
        length: 10,
    };
    ledger.rearrange(&[place(1)], &[(place(2), place(3))]).unwrap();
    assert_eq!(
        ledger.lease(100).unwrap().unwrap().ordinals,
        Ordinals::from_range(0..50)
    );
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
        let ordinals = ledger.lease(100).unwrap().unwrap().ordinals;
        ledger
            .commit(&CommittedFrame {
                place: FramePlace {
                    segment: shard as u64 + 1,
                    offset: offsets[shard],
                    length: 6000,
                },
                counts: Counts::of_one(Outcome::Ok, ordinals.count()),
                ordinals,
                span: number..number + 1,
                checksum: 0,
            })
            .unwrap();
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
        ledger.lease(100).unwrap().unwrap().ordinals,
        Ordinals::from_range(100_000..100_100)
    );
}
