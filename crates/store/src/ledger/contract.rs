//! What every ledger has to do: the same suite for each implementation.
//!
//! ```ignore
//! v6kit_store::contract::check(|extent| MyLedger::new(extent));
//! ```

#![allow(clippy::unwrap_used, reason = "tests, which other crates run as well")]

use std::ops::Range;

use v6kit_model::{Counts, Ordinals, Outcome};

use super::{Catalog, Commit, CommittedFrame, Extent, Fence, FramePlace, Lease, Leased, Ledger, Renewal};
use crate::description::Description;

/// A job of a hundred items.
pub const HUNDRED: Extent = Extent {
    items: 100,
    visited: 100,
};

/// The description of a job with this URL.
#[must_use]
pub fn description(url: &str) -> Description {
    Description::new([("url".to_owned(), url.to_owned())])
}

/// A frame of ten bytes with data of `ordinals`.
#[must_use]
pub fn frame(segment: u64, offset: u64, ordinals: Range<u64>) -> CommittedFrame {
    CommittedFrame {
        place: FramePlace {
            segment,
            offset,
            length: 10,
        },
        counts: Counts::of_one(Outcome::Ok, ordinals.end - ordinals.start),
        ordinals: Ordinals::from_range(ordinals),
        span: 0..1,
        checksum: 0,
    }
}

/// A lease of `want` ordinals, which must be open.
///
/// # Panics
/// When none is.
pub fn leased(ledger: &dyn Ledger, want: u64) -> Lease {
    match ledger.lease(want).unwrap() {
        Leased::Lease(lease) => lease,
        other => panic!("a lease was asked for, and {other:?} came"),
    }
}

/// Runs the suite. `make` makes a new ledger for a job of so many items, called `a`.
///
/// # Panics
/// Where the ledger does not keep the contract.
pub fn check<L: Ledger + Catalog>(make: impl Fn(Extent) -> L) {
    leases_are_the_lowest_and_disjoint(&make(HUNDRED));
    what_is_released_is_open_again(&make(HUNDRED));
    a_commit_counts_once(&make(HUNDRED));
    a_commit_without_its_lease_changes_nothing(&make(HUNDRED));
    records_of_several_leases_may_share_a_frame(&make(HUNDRED));
    only_what_is_to_be_visited_is_leased(&make(Extent {
        items: 100,
        visited: 30,
    }));
    the_catalogue_tells_what_was_committed(&make(HUNDRED));
    one_frame_takes_the_place_of_others(&make(HUNDRED));
}

fn leases_are_the_lowest_and_disjoint(ledger: &dyn Ledger) {
    let (first, second) = (leased(ledger, 40), leased(ledger, 1000));
    assert_eq!(
        (first.ordinals, first.open_after),
        (Ordinals::from_range(0..40), 60)
    );
    assert_eq!(
        (second.ordinals, second.open_after),
        (Ordinals::from_range(40..100), 0)
    );
    assert!(second.fence > first.fence, "a fence is never used twice");
    assert!(
        !matches!(ledger.lease(1).unwrap(), Leased::Lease(_)),
        "nothing is open"
    );
}

fn what_is_released_is_open_again(ledger: &dyn Ledger) {
    let (first, second) = (leased(ledger, 50), leased(ledger, 50));
    ledger.commit(&frame(1, 0, 0..20), &[first.fence]).unwrap();
    ledger.release(first.fence).unwrap();
    let again = leased(ledger, 1000);
    assert_eq!(again.ordinals, Ordinals::from_range(20..50));
    assert!(again.fence > second.fence);
    assert_eq!(ledger.renew(first.fence).unwrap(), Renewal::Lost);
    assert!(matches!(ledger.renew(second.fence).unwrap(), Renewal::Until(_)));
    ledger.release(first.fence).unwrap();
    assert!(!matches!(ledger.lease(1).unwrap(), Leased::Lease(_)));
}

fn a_commit_counts_once(ledger: &dyn Ledger) {
    let lease = leased(ledger, 100);
    let first = frame(1, 0, 0..30);
    assert_eq!(ledger.commit(&first, &[lease.fence]).unwrap(), Commit::Recorded);
    assert_eq!(ledger.commit(&first, &[lease.fence]).unwrap(), Commit::Already);
    let standing = ledger.standing().unwrap();
    assert_eq!(
        (standing.done.sum(), standing.left(), standing.bytes),
        (30, 70, 10)
    );
}

fn a_commit_without_its_lease_changes_nothing(ledger: &dyn Ledger) {
    let lease = leased(ledger, 50);
    let unknown = Fence(lease.fence.0 + 1000);
    for fences in [&[][..], &[unknown]] {
        assert_eq!(
            ledger.commit(&frame(1, 0, 0..10), fences).unwrap(),
            Commit::Fenced
        );
    }
    // Half of it was leased by nobody.
    assert_eq!(
        ledger.commit(&frame(1, 0, 40..60), &[lease.fence]).unwrap(),
        Commit::Fenced
    );
    // Another worker has it now.
    ledger.release(lease.fence).unwrap();
    let other = leased(ledger, 50);
    assert_eq!(
        ledger.commit(&frame(1, 0, 0..10), &[lease.fence]).unwrap(),
        Commit::Fenced
    );
    assert_eq!(ledger.standing().unwrap().done.sum(), 0);
    assert_eq!(
        ledger.commit(&frame(2, 0, 0..10), &[other.fence]).unwrap(),
        Commit::Recorded
    );
}

fn records_of_several_leases_may_share_a_frame(ledger: &dyn Ledger) {
    let fences = [leased(ledger, 10).fence, leased(ledger, 10).fence];
    assert_eq!(
        ledger.commit(&frame(1, 0, 5..15), &fences).unwrap(),
        Commit::Recorded
    );
    for fence in fences {
        ledger.release(fence).unwrap();
    }
    let rest = leased(ledger, 10);
    assert_eq!(rest.ordinals, Ordinals::from_ranges(vec![0..5, 15..20]));
}

fn only_what_is_to_be_visited_is_leased(ledger: &dyn Ledger) {
    assert_eq!(leased(ledger, 100).ordinals, Ordinals::from_range(0..30));
    assert_eq!(ledger.standing().unwrap().total, 30);
}

fn the_catalogue_tells_what_was_committed<L: Ledger + Catalog>(ledger: &L) {
    assert_eq!(ledger.description().unwrap(), description("a"));
    assert_eq!(ledger.extent().unwrap(), HUNDRED);
    let fence = leased(ledger, 100).fence;
    let frames = [frame(2, 0, 60..70), frame(1, 0, 0..30)];
    for frame in &frames {
        ledger.commit(frame, &[fence]).unwrap();
    }
    let found = ledger.frames_within(0..u64::MAX).unwrap();
    let expected = [&frames[1], &frames[0]].map(|frame| (frame.clone(), Ordinals::default()));
    assert_eq!(
        found, expected,
        "in the order of their first ordinal, nothing stale"
    );
    assert_eq!(ledger.frames_within(30..60).unwrap(), []);
    assert_eq!(ledger.segment_lengths().unwrap(), [(1, 10), (2, 10)].into());
    let missing = Ordinals::from_ranges(vec![30..60, 70..100]);
    assert_eq!(ledger.missing().unwrap(), missing);
    assert_eq!(ledger.open_ordinals().unwrap(), missing);
    assert_eq!(ledger.recent_pace().unwrap().records, 40);
    ledger.check().unwrap();
}

fn one_frame_takes_the_place_of_others<L: Ledger + Catalog>(ledger: &L) {
    let fence = leased(ledger, 100).fence;
    let frames = [frame(1, 0, 0..10), frame(2, 0, 10..20), frame(3, 0, 20..30)];
    for frame in &frames {
        ledger.commit(frame, &[fence]).unwrap();
    }
    let places = [frames[0].place, frames[1].place];
    let merged = frame(4, 0, 0..20);
    let unknown = frame(9, 0, 0..10).place;
    assert!(!ledger.replace(&[places[0], unknown], &merged).unwrap());
    let all = |ledger: &L| -> Vec<CommittedFrame> {
        let found = ledger.frames_within(0..u64::MAX).unwrap();
        found.into_iter().map(|(frame, _)| frame).collect()
    };
    assert_eq!(all(ledger), frames, "nothing has changed");
    assert!(ledger.replace(&places, &merged).unwrap());
    assert_eq!(all(ledger), [merged, frames[2].clone()]);
    let standing = ledger.standing().unwrap();
    assert_eq!(
        (
            standing.done.sum(),
            standing.frames,
            standing.segments,
            standing.bytes
        ),
        (30, 2, 2, 20)
    );
    assert_eq!(ledger.missing().unwrap(), Ordinals::from_range(30..100));
}
