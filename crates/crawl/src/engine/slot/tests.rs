use std::time::Duration;

use v6kit_model::input::{Items, List, ListSource};
use v6kit_model::{ErrorKind, Outcome};

use super::*;
use crate::engine::clock::Clock;
use crate::engine::fixture::{Fixture, job};
use crate::engine::job::{Job, Settings};
use crate::site::rate::OnLimit;

const URL: &str = "http://h.test/0";

fn fixture(change: impl FnOnce(&mut Settings)) -> Fixture {
    Fixture::new(job("http://h.test/{0..9}"), change)
}

fn item(attempts: u32) -> Item {
    Item {
        ordinal: 0,
        attempts,
        refusals: 0,
    }
}

/// An attempt at `item` that ends by a fault of `kind` without a request.
async fn fail(shard: &Shard, item: Item, kind: ErrorKind) {
    let (site, path) = shard.sites.find(URL).unwrap();
    let mut attempt = Attempt::new(&shard.clock);
    attempt.is_retry = item.attempts > 0;
    let context = ItemContext {
        item,
        position: 0,
        url: URL,
        id: None,
        site: Rc::clone(&site),
        permit: Permit::Go,
        attempt,
        final_url: None,
        hops: Vec::new(),
    };
    let outgoing = Outgoing::new(&shard.job.request, &site, path, Overrides::default(), 9);
    conclude(shard, &context, &outgoing, Err(Fault::new(kind, "so")), None).await;
}

fn new_slot(shard: &Rc<Shard>) -> Slot {
    shard.running.set(shard.running.get() + 1);
    Slot::new(Rc::clone(shard), shard.limits.start().unwrap())
}

fn finished(shard: &Shard, outcome: Outcome) -> u64 {
    shard.progress.outcomes[outcome as usize].get()
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_is_tried_again_and_then_recorded() {
    let Fixture { shard, .. } = &fixture(|settings| settings.retries = 1);
    fail(shard, item(0), ErrorKind::Reset).await;
    assert_eq!(finished(shard, Outcome::Transient), 0);
    let again = shard.queue.next().await.unwrap();
    assert_eq!(again, item(1));
    fail(shard, again, ErrorKind::Reset).await;
    assert_eq!(finished(shard, Outcome::Transient), 1);
    assert_eq!(
        (shard.progress.requests.get(), shard.progress.retries.get()),
        (2, 1)
    );
    assert_eq!(shard.progress.errors[ErrorKind::Reset as usize].get(), 2);
    assert_eq!(shard.progress.kinds[ErrorKind::Reset as usize].get(), 1);
}

#[tokio::test]
async fn what_this_host_lacks_is_no_end_of_an_item() {
    let Fixture { shard, .. } = &fixture(|_| {});
    fail(shard, item(0), ErrorKind::Resources).await;
    assert_eq!((shard.finished.get(), shard.progress.requests.get()), (0, 0));
}

#[tokio::test]
async fn a_limit_ends_the_crawl_where_that_is_asked_for() {
    let Fixture { shard, .. } = &fixture(|settings| settings.on_limit = OnLimit::Stop);
    fail(shard, item(0), ErrorKind::Forbidden).await;
    assert!(!shard.stop.drain.is_cancelled());
    fail(shard, item(0), ErrorKind::RateLimited).await;
    let reason = shard.stop.refused.get().unwrap();
    assert!(reason.contains("the site refuses"), "{reason}");
    assert!(shard.stop.drain.is_cancelled());
    assert_eq!(finished(shard, Outcome::Blocked), 2);
}

#[tokio::test]
async fn an_item_that_names_no_site_is_recorded_and_nobody_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("list");
    std::fs::write(&path, "nonsense\n").unwrap();
    let list = List::open(&ListSource::File(path), directory.path()).unwrap();
    let job = Job {
        items: Items::lines(list),
        ..job("http://h.test/")
    };
    let Fixture { shard, .. } = &Fixture::new(job, |_| {});
    let mut slot = new_slot(shard);
    assert!(slot.serve(item(0), Arrival::New).await.is_none());
    assert_eq!(finished(shard, Outcome::Fatal), 1);
    assert_eq!(shard.progress.requests.get(), 0);
}

#[tokio::test]
async fn a_stopped_slot_leaves_its_item_to_the_next_run() {
    let Fixture { shard, .. } = &fixture(|_| {});
    shard.stop.drain.cancel();
    // It would have to look the name up first, and to wait for that.
    let mut slot = new_slot(shard);
    assert!(slot.serve(item(0), Arrival::New).await.is_none());
    new_slot(shard).run().await;
    assert_eq!((shard.finished.get(), shard.progress.requests.get()), (0, 0));
}

#[test]
fn an_attempt_is_recorded_with_the_number_that_it_has() {
    let record = Attempt {
        took: Duration::from_millis(5),
        ..Attempt::new(&Clock::new())
    };
    let record = record.record(4, URL, item(2), None);
    assert_eq!((record.position, record.attempts), (4, 3));
    assert_eq!(
        (record.took, record.outcome()),
        (Duration::from_millis(5), Outcome::Ok)
    );
}

#[test]
fn a_request_has_what_the_line_says_and_a_body_alone_is_posted() {
    let Fixture { shard, .. } = &fixture(|_| {});
    let (site, _) = shard.sites.find(URL).unwrap();
    let outgoing = |overrides| Outgoing::new(&shard.job.request, &site, "/a?b", overrides, 9);
    let usual = outgoing(Overrides::default());
    assert_eq!(
        (usual.method.as_str(), usual.host(&site)),
        ("GET", &b"h.test"[..])
    );
    assert_eq!(usual.target(&site).unwrap(), "/a?b");
    let with_body = outgoing(Overrides {
        body: Some("x".into()),
        ..Overrides::default()
    });
    assert_eq!(
        (with_body.method.as_str(), &with_body.body[..]),
        ("POST", &b"x"[..])
    );
    let header = v6kit_model::input::RequestSpec::parse_header("host: other.test").unwrap();
    let put = outgoing(Overrides {
        method: Some(http::Method::PUT),
        body: Some("x".into()),
        headers: vec![header],
        ..Overrides::default()
    });
    assert_eq!(
        (put.method.as_str(), put.host(&site)),
        ("PUT", &b"other.test"[..])
    );
    assert_eq!(
        site.headers.get("host").unwrap(),
        "h.test",
        "others are asked as before"
    );
    assert_eq!(origin_form("?q").unwrap(), "/?q");
    assert_eq!(origin_form("/\u{1}").unwrap_err().kind, ErrorKind::BadItem);
}
