use std::time::SystemTime;

use v6kit_model::{ErrorKind, Item};
use v6kit_net::Prefix;

use super::*;
use crate::engine::fixture::{Fixture, job};

fn fixture() -> Fixture {
    Fixture::new(job("http://h.test/{0..9}"), |_| {})
}

fn record(position: u64, fault: Option<&Fault>) -> Record<'_> {
    Record {
        position,
        id: None,
        url: "http://h.test/",
        status: None,
        from: None,
        at: SystemTime::now(),
        took: Duration::ZERO,
        timing: v6kit_store::Timing::default(),
        attempts: 1,
        final_url: None,
        way: v6kit_store::Way::default(),
        sent: None,
        answer: None,
        fault,
    }
}

fn last_answer(shard: &Shard, ordinal: u64, can_repeat: bool) -> LastAnswer {
    LastAnswer {
        item: Item {
            ordinal,
            attempts: 0,
            refusals: 0,
        },
        record: shard.finish(ordinal, &record(ordinal, None)),
        can_repeat,
    }
}

#[tokio::test]
async fn what_is_finished_is_counted_and_handed_in_as_one_frame() {
    let Fixture { shard, .. } = &fixture();
    let fault = Fault::new(ErrorKind::NotFound, "so");
    shard.finish(3, &record(3, None));
    shard.finish(1, &record(1, Some(&fault)));
    assert_eq!(shard.finished.get(), 2);
    assert_eq!(shard.progress.kinds[ErrorKind::NotFound as usize].get(), 1);
    let finished =
        [Outcome::Ok, Outcome::Absent].map(|outcome| shard.progress.outcomes[outcome as usize].get());
    assert_eq!(finished, [1, 1]);
    shard.flush();
    shard.flush();
    shard.backlog.close();
    let (frame, _) = shard.backlog.next().await.unwrap();
    assert_eq!(frame.counts.sum(), 2);
    assert!(
        shard.backlog.next().await.is_none(),
        "an empty frame is not handed in"
    );
}

#[tokio::test]
async fn a_frame_is_handed_in_when_it_is_full() {
    let Fixture { shard, .. } = &fixture();
    let mut pushed = 0;
    let limit = frame_bytes(&shard.job, &shard.settings) as u64;
    loop {
        shard.finish(pushed, &record(pushed, None));
        pushed += 1;
        if shard.frame.since().is_none() {
            break;
        }
    }
    let bytes = shard.progress.bytes_recorded.get();
    assert!(
        (limit / 2..limit).contains(&bytes),
        "{bytes} of {limit}, beside the ordinals"
    );
    assert_eq!(shard.backlog.next().await.unwrap().0.counts.sum(), pushed);
}

#[tokio::test]
async fn an_answer_in_doubt_is_fetched_again_while_its_record_can_be_taken_back() {
    let Fixture { shard, .. } = &fixture();
    let last = last_answer(shard, 5, true);
    let item = last.item;
    shard.doubt(last);
    assert_eq!(shard.queue.next().await, Some(item));
    assert_eq!((shard.finished.get(), shard.progress.retries.get()), (0, 1));
    assert_eq!(shard.progress.outcomes[Outcome::Ok as usize].get(), 0);
    assert_eq!(shard.progress.doubtful.get(), 0);

    shard.doubt(last_answer(shard, 6, false));
    let last = last_answer(shard, 7, true);
    shard.flush();
    shard.doubt(last);
    assert_eq!(
        shard.progress.doubtful.get(),
        2,
        "a POST, and what is on its way to the disk"
    );
    assert_eq!(shard.finished.get(), 2);
    assert_eq!(shard.progress.outcomes[Outcome::Ok as usize].get(), 2);
}

#[test]
fn slots_beyond_the_limit_end_one_by_one() {
    let Fixture { shard, .. } = &fixture();
    assert_eq!(shard.slots(), 2);
    shard.running.set(4);
    let ended = [(); 3].map(|()| shard.has_slot_too_many());
    assert_eq!((ended, shard.running.get()), ([true, true, false], 2));
}

#[test]
fn the_first_reason_of_a_refusal_counts_and_nothing_new_is_sent() {
    let Fixture { shard, .. } = &fixture();
    shard.refuse("first".to_owned());
    shard.refuse("second".to_owned());
    assert_eq!(shard.stop.refused.get().map(String::as_str), Some("first"));
    assert!(shard.stop.drain.is_cancelled());
}

#[test]
fn a_request_is_in_flight_for_as_long_as_somebody_waits_for_it() {
    let Fixture { shard, .. } = &fixture();
    let (site, _) = shard.sites.find("http://h.test/0").unwrap();
    let flights = [(); 2].map(|()| shard.begin_request(&site, Instant::now()));
    assert_eq!(shard.progress.in_flight.get(), 2);
    drop(flights);
    assert_eq!(
        (shard.progress.in_flight.get(), shard.progress.requests.get()),
        (0, 2)
    );
}

#[test]
fn attempts_without_an_answer_are_silences_and_refusals_are_counted_by_kind() {
    let Fixture { shard, .. } = &fixture();
    let fault = Fault::new(ErrorKind::RateLimited, "so");
    shard.count_attempt(None, Some(&fault));
    let answered = (Duration::from_millis(3), Visit::First, Ipv6Addr::LOCALHOST);
    shard.count_attempt(Some(answered), None);
    assert_eq!(
        (shard.progress.silences.get(), shard.progress.answers.get()),
        (1, 1)
    );
    assert_eq!(shard.progress.errors[ErrorKind::RateLimited as usize].get(), 1);
}

#[test]
fn urls_come_by_position_and_placeholders_are_filled() {
    let mut job = job("http://h.test/{5..9}");
    job.request
        .add_headers([v6kit_model::input::RequestSpec::parse_header("X-Token: {}").unwrap()]);
    let Fixture { shard, .. } = &Fixture::new(job, |_| {});
    let mut url = String::new();
    let overrides = shard.item(3, Arrival::New, &mut url).unwrap();
    assert_eq!(url, "http://h.test/8");
    assert_eq!(overrides.headers[0].value, "8");
    assert!(
        overrides.headers[0].value.is_sensitive(),
        "as the header of the job is"
    );
}

#[test]
fn without_a_prefix_an_address_serves_for_ever_and_with_one_as_long_as_asked_for() {
    let limits = lease_limits(None);
    assert_eq!((limits.requests, limits.age), (u64::MAX, None));
    let age = Some(Duration::from_secs(9));
    let prefix: Prefix = "2001:db8::/64".parse().unwrap();
    let limits = lease_limits(Some(&Sources {
        prefix,
        excluded: Vec::new(),
        seed: 0,
        per_host: None,
        requests_per_address: 7,
        address_age: age,
        addresses: None,
    }));
    assert_eq!((limits.requests, limits.age), (7, age));
}

#[test]
fn jitter_lies_between_nothing_and_all_and_begins_where_the_seed_says() {
    let draws = |seed| {
        let Fixture { shard, .. } = Fixture::new(job("http://h.test/"), |settings| settings.seed = seed);
        [(); 20].map(|()| shard.jitter())
    };
    assert!(draws(1).iter().all(|draw| (0.0..=1.0).contains(draw)));
    assert_eq!(draws(1), draws(1));
    assert_ne!(draws(1), draws(2));
}
