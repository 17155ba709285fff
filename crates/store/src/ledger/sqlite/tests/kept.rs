//! What is kept beside records.

use super::*;

fn opened() -> (tempfile::TempDir, SqliteLedger) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(directory.path(), &description("a"), HUNDRED).unwrap();
    (directory, ledger)
}

#[test]
fn the_words_of_the_last_run_and_those_from_anywhere_are_kept_apart() {
    let (_directory, ledger) = opened();
    let words = |text: &str| vec!["v6kit".to_owned(), text.to_owned()];
    for (said, anywhere) in [("a", "/a"), ("a", "/b"), ("c", "/b")] {
        ledger.set_invocation(&words(said), &words(anywhere)).unwrap();
        assert_eq!(ledger.invocation().unwrap(), words(said));
        assert_eq!(ledger.options().unwrap(), words(anywhere));
    }
}

#[test]
fn the_pace_counts_the_time_in_which_something_was_fetched_once() {
    let (_directory, ledger) = opened();
    for (number, span) in [(0, 1000..3000), (1, 2000..4000)] {
        let frame = CommittedFrame {
            span,
            ..frame(1, number * 10, number * 10..number * 10 + 10)
        };
        commit(&ledger, &frame);
    }
    let pace = ledger.recent_pace().unwrap();
    assert_eq!((pace.records, pace.seconds), (20, 3.0));
}

#[test]
fn a_full_disk_is_told_from_other_trouble() {
    let error = |number| LedgerError::Directory {
        place: "here".to_owned(),
        source: io::Error::from_raw_os_error(number).into(),
    };
    assert!(error(libc::ENOSPC).is_disk());
    assert!(!error(libc::EACCES).is_disk());
    let foreign = LedgerError::Foreign {
        place: "here".to_owned(),
    };
    assert!(!foreign.is_disk());
}
