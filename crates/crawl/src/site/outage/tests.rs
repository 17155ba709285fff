use super::*;
use crate::site::connects::connect_limit;
use crate::site::rate::Rate;
use crate::stats::events;

const LONGEST: Duration = Duration::from_secs(600);

fn told() -> (Outage, events::Events) {
    let (sink, events) = events::channel();
    (
        Outage::new(LONGEST, false, None, connect_limit(Rate::Max), sink),
        events,
    )
}

fn told_cause() -> Cause {
    Cause::Told("no route".to_owned())
}

fn fault(kind: ErrorKind) -> Fault {
    Fault::new(kind, "so")
}

#[test]
fn one_item_a_second_finds_out_whether_it_is_over_then_fewer_and_ten_minutes_are_the_end() {
    let (mut state, start) = (State::default(), Instant::now());
    assert_eq!(state.admit(start, LONGEST), Admission::Go);
    assert!(state.begin(start, told_cause()));
    assert!(!state.begin(start, told_cause()), "it is told once");
    let mut left = Vec::new();
    for tenth in 0..6000 {
        let now = start + Duration::from_millis(100) * tenth;
        match state.admit(now, LONGEST) {
            Admission::Go => left.push(tenth),
            Admission::Wait(until) => assert!(until > now && until <= now + LONGEST_PROBE_PAUSE),
            Admission::TooLong(_) => panic!("too early: {tenth}"),
        }
    }
    let second = |pair: &[u32]| pair[1] - pair[0] == 10;
    assert!(left[..20].windows(2).all(second), "{left:?}");
    assert!((80..100).contains(&left.len()), "{left:?}");
    let end = state.admit(start + LONGEST, LONGEST);
    assert_eq!(end, Admission::TooLong(told_cause()));
}

#[test]
fn only_what_began_during_an_outage_ends_it_and_what_overlapped_it_is_excused() {
    let (mut state, start) = (State::default(), Instant::now());
    let second = Duration::from_secs(1);
    state.begin(start + second, told_cause());
    assert_eq!(
        state.heard(start, start + 2 * second),
        None,
        "an answer of before"
    );
    assert_eq!(
        state.heard(start + 3 * second, start + 4 * second),
        Some(3 * second)
    );
    assert!(state.overlaps(start), "a request of before that came to nothing");
    assert!(!state.overlaps(start + 5 * second));
}

#[tokio::test]
async fn while_nothing_was_ever_reached_no_route_is_an_outage_and_a_timeout_is_none() {
    let (outage, events) = told();
    let began = Instant::now();
    let here = Some(("[::1]:9".parse().unwrap(), None));
    for kind in [
        ErrorKind::ConnectTimeout,
        ErrorKind::Ports,
        ErrorKind::Dns,
        ErrorKind::NoName,
    ] {
        assert!(!outage.explains(&fault(kind), began, here).await, "{kind}");
    }
    assert!(outage.explains(&fault(ErrorKind::NoRoute), began, here).await);
    let notice = events.next().await;
    assert!(
        notice.contains("no destination is reached (so): waiting"),
        "{notice}"
    );
    assert!(
        outage
            .explains(&fault(ErrorKind::ConnectTimeout), began, here)
            .await,
        "during it"
    );
    assert!(
        !outage
            .explains(&fault(ErrorKind::ConnectRefused), Instant::now(), here)
            .await
    );
    let notice = events.next().await;
    assert!(notice.contains("going on"), "an answer ends it: {notice}");
    assert!(
        !outage
            .explains(&fault(ErrorKind::Ports), Instant::now(), here)
            .await
    );
}

#[tokio::test]
async fn no_route_to_one_is_its_own_as_long_as_another_one_answers() {
    let (outage, _events) = told();
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let std::net::SocketAddr::V6(to) = listener.local_addr().unwrap() else {
        panic!("IPv6 listener")
    };
    outage.reached(to, None);
    assert!(
        !outage
            .explains(&fault(ErrorKind::NoRoute), Instant::now(), None)
            .await
    );
    // It need not be the same port: a refusal is an answer too.
    drop(listener);
    *outage.looking.lock().await = None;
    assert!(
        !outage
            .explains(&fault(ErrorKind::NoRoute), Instant::now(), None)
            .await
    );
}

#[tokio::test]
async fn a_prefix_that_goes_silent_is_this_hosts_where_it_is_not_delivered_any_more() {
    let (sink, _events) = events::channel();
    let prefix = "2001:db8:6::/64".parse().unwrap();
    let check = DeliveryCheck::new(prefix, || Box::pin(async { Some(false) }));
    let outage = Outage::new(Duration::ZERO, false, Some(check), connect_limit(Rate::Max), sink);
    let timeout = fault(ErrorKind::ConnectTimeout);
    assert!(outage.explains(&timeout, Instant::now(), None).await);
    let drain = Drain::default();
    assert!(!outage.admit(&drain).await && drain.is_cancelled());
    assert!(outage.ended().unwrap().contains("is not delivered to this host"));
}
