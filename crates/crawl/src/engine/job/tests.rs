use v6kit_store::{Content, Format};

use super::*;
use crate::engine::fixture::job;

/// The names of the values in which a job differs from the usual one when `change` is made to it.
fn differences(change: impl FnOnce(&mut Job)) -> Vec<String> {
    let usual = job("http://h.test/{0..9}");
    let mut other = usual.clone();
    change(&mut other);
    let differences = usual.description().differences(&other.description());
    differences
        .into_iter()
        .map(|difference| difference.name)
        .collect()
}

fn header(text: &str) -> v6kit_model::input::Field {
    RequestSpec::parse_header(text).unwrap()
}

#[test]
fn another_job_is_told_by_what_it_asks_for_and_what_it_keeps() {
    assert_eq!(differences(|_| {}), Vec::<String>::new());
    let items = |job: &mut Job| job.items = self::job("http://h.test/{0..8}").items;
    assert_eq!(differences(items), ["url"]);
    assert_eq!(
        differences(|job| job.request.method = http::Method::HEAD),
        ["method"]
    );
    assert_eq!(
        differences(|job| job.request.add_headers([header("X-Page: 1")])),
        ["headers"]
    );
    assert_eq!(differences(|job| job.request.body = "x".into()), ["body"]);
    assert_eq!(
        differences(|job| job.order = Order::Shuffle { seed: 1 }),
        ["order"]
    );
    assert_eq!(differences(|job| job.limit = Some(3)), ["limit"]);
    assert_eq!(differences(|job| job.max_body = 1), ["max-body"]);
    assert_eq!(differences(|job| job.storage.format = Format::Warc), ["format"]);
    assert_eq!(differences(|job| job.storage.content = Content::Meta), ["store"]);
    assert_eq!(differences(|job| job.coding = Coding::Keep), ["raw"]);
    assert_eq!(
        differences(|job| job.cookies = CookiePolicy::PerAddress),
        ["cookies"]
    );
    let expect = |job: &mut Job| job.expect = Expectations::new(vec!["json".parse().unwrap()], &[]).unwrap();
    assert_eq!(differences(expect), ["expect"]);
}

#[test]
fn a_job_goes_on_with_another_secret_and_not_with_another_user_and_its_description_holds_neither_password() {
    let log_in = |user: &'static str, password: &'static str| {
        move |job: &mut Job| job.request.log_in(user, &password.into())
    };
    let described = |change: &dyn Fn(&mut Job)| {
        let mut job = job("http://h.test/");
        change(&mut job);
        job.description()
    };
    let alice = described(&log_in("alice", "s3cret"));
    assert_eq!(alice.differences(&described(&log_in("alice", "other"))), []);
    let names: Vec<String> = alice
        .differences(&described(&log_in("bob", "s3cret")))
        .into_iter()
        .map(|difference| difference.name)
        .collect();
    assert_eq!(names, ["user"]);
    let token = described(&|job| job.request.add_headers([header("X-Api-Key: s3cret")]));
    for description in [alice, token] {
        let text = format!("{description:?}");
        // base64 of alice:s3cret
        assert!(
            !text.contains("s3cret") && !text.contains("YWxpY2U6czNjcmV0"),
            "{text}"
        );
    }
}

#[test]
fn a_limit_bounds_what_is_visited_and_not_what_there_is() {
    let mut job = job("http://h.test/{0..9}");
    let extents = [None, Some(3), Some(30)].map(|limit| {
        job.limit = limit;
        let Extent { items, visited } = job.extent();
        (items, visited)
    });
    assert_eq!(extents, [(10, 10), (10, 3), (10, 10)]);
}
