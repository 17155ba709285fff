//! The model in virtual time.

use std::collections::BTreeSet;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;

/// A model, and what one shard sends there.
struct Asked {
    model: RateModel,
    meter: Arc<Meter>,
    start: Instant,
}

impl Asked {
    fn new(rate: Rate) -> Self {
        let start = Instant::now();
        let model = RateModel::new(rate, start);
        let meter = model.meter();
        Self { model, meter, start }
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    /// Sends evenly during these milliseconds.
    fn send(&self, per_second: u64, milliseconds: std::ops::Range<u64>) {
        let length = milliseconds.end - milliseconds.start;
        for request in 0..per_second * length / 1000 {
            let now = self.at(milliseconds.start + request * 1000 / per_second);
            self.model.sent(&self.meter, now);
        }
    }

    fn refuse(&self, milliseconds: u64, wait: Option<u64>) {
        let wait = wait.map(Duration::from_secs);
        self.model.on_limited(self.at(milliseconds), wait);
    }

    fn accept(&self, milliseconds: u64) {
        self.model.on_accepted(|| self.at(milliseconds));
    }

    fn rate(&self) -> f64 {
        self.model.per_second().unwrap_or(f64::INFINITY)
    }
}

#[track_caller]
fn assert_about(rate: f64, wanted: f64) {
    assert!((rate / wanted - 1.0).abs() < 0.12, "{rate}, not {wanted}");
}

#[test]
fn a_long_wait_is_told_once_and_a_longer_one_again() {
    let asked = Asked::new(Rate::PerSecond(100.0));
    let tells = |seconds| {
        let wait = Duration::from_secs(seconds);
        asked.model.on_limited(asked.start, Some(wait)).hold == Some(wait)
    };
    assert!(!tells(5));
    assert!(tells(3600) && !tells(3600) && !tells(3601) && !tells(20));
    assert!(tells(7200));
}

#[test]
fn a_burst_of_refusals_halves_the_rate_once_and_a_second_one_again() {
    let asked = Asked::new(Rate::PerSecond(100.0));
    asked.send(100, 0..10_000);
    // As many as were under way.
    for milliseconds in 0..throttle::ENOUGH {
        asked.refuse(10_000 + milliseconds, None);
    }
    assert_about(asked.rate(), 50.0);
    asked.send(50, 10_020..13_000);
    asked.refuse(13_000, None);
    assert_about(asked.rate(), 25.0);
}

#[test]
fn a_cut_is_from_what_this_site_was_getting_and_not_from_what_it_may_get() {
    // What others get does not count, nor what it got a minute ago.
    let asked = Asked::new(Rate::PerSecond(5000.0));
    asked.send(2000, 0..10_000);
    asked.send(10, 60_000..80_000);
    asked.refuse(80_000, None);
    assert_about(asked.rate(), 5.0);
    // It recovers to no more than it was getting, 5 being less than it may.
    asked.send(2, 80_000..90_000);
    asked.refuse(90_000, None);
    assert!(asked.rate() < 1.5, "{}", asked.rate());
}

#[test]
fn two_shards_share_what_is_observed() {
    let asked = Asked::new(Rate::Max);
    let other = asked.model.meter();
    asked.send(300, 0..10_000);
    for milliseconds in (0..10_000).step_by(10) {
        asked.model.sent(&other, asked.at(milliseconds));
    }
    asked.refuse(10_000, None);
    assert_about(asked.rate(), 200.0);
}

#[test]
fn the_rate_recovers_by_and_by_to_what_was_asked_for() {
    let asked = Asked::new(Rate::PerSecond(100.0));
    asked.send(100, 0..10_000);
    asked.refuse(10_000, None);
    let mut before = asked.rate();
    for second in 12..100 {
        asked.accept(second * 1000);
        assert!(asked.rate() >= before && asked.rate() <= before + 2.1);
        before = asked.rate();
    }
    assert_eq!(asked.rate(), 100.0);
    assert!(!asked.model.is_restrained(asked.at(200_000)));
}

#[test]
fn without_a_rate_the_observed_one_is_halved_and_one_well_above_it_is_none_again() {
    let asked = Asked::new(Rate::Max);
    assert!(asked.model.is_unlimited());
    asked.send(1000, 0..10_000);
    asked.refuse(10_000, None);
    assert_about(asked.rate(), 500.0);
    (12..400).for_each(|second| asked.accept(second * 1000));
    assert!(asked.model.is_unlimited());
}

#[test]
fn a_rate_that_is_still_far_too_high_comes_down_at_once_to_what_was_accepted() {
    let asked = Asked::new(Rate::Max);
    asked.send(8000, 0..10_000);
    asked.refuse(10_000, Some(0));
    // The site accepts a hundred a second.
    for milliseconds in 11_000..12_000 {
        (0..4).for_each(|_| {
            asked.model.sent(&asked.meter, asked.at(milliseconds));
            asked.refuse(milliseconds, None);
        });
        if milliseconds % 10 == 0 {
            asked.accept(milliseconds);
        }
    }
    asked.refuse(12_000, None);
    assert!((85.0..115.0).contains(&asked.rate()), "{} of 4000", asked.rate());
}

/// What it costs a site that takes `limit` requests a second, and five at once, to answer 250 of them to a
/// crawl without a rate and with 100 requests in flight that are answered in two milliseconds.
fn requests_for_250(limit: f64, seconds: &mut f64) -> u32 {
    const LATENCY: Duration = Duration::from_millis(2);
    const IN_FLIGHT: usize = 100;
    let asked = Asked::new(Rate::Max);
    let Asked { model, meter, start } = &asked;
    // The times at which requests arrive, the next one first.
    let mut arriving: BTreeSet<(Instant, usize)> =
        (0..IN_FLIGHT).map(|slot| (*start + LATENCY, slot)).collect();
    (0..IN_FLIGHT).for_each(|_| model.sent(meter, *start));
    let (mut requests, mut answered) = (0, 0);
    let (mut tokens, mut before) = (5.0, *start);
    while answered < 250 {
        let (now, slot) = arriving.pop_first().unwrap();
        requests += 1;
        tokens = f64::min(5.0, tokens + (now - before).as_secs_f64() * limit);
        before = now;
        if tokens >= 1.0 {
            tokens -= 1.0;
            answered += 1;
            model.on_accepted(|| now);
        } else {
            model.on_limited(now, None);
        }
        let leaves = model.acquire(now).max(now);
        model.sent(meter, leaves);
        arriving.insert((leaves + LATENCY, slot));
    }
    *seconds = (before - *start).as_secs_f64();
    requests
}

#[test]
fn a_crawl_without_a_rate_costs_a_site_with_a_limit_few_requests_in_vain() {
    for limit in [10.0, 60.0, 600.0] {
        let mut seconds = 0.0;
        let asked = requests_for_250(limit, &mut seconds);
        assert!(asked <= 600, "{asked} requests at {limit}/s, {seconds:.1} s");
    }
}

#[test]
fn a_few_refusals_among_many_answers_halve_the_rate_and_no_more() {
    let asked = Asked::new(Rate::PerSecond(100.0));
    asked.send(100, 0..10_000);
    asked.refuse(10_000, None);
    asked.send(50, 10_000..12_500);
    (11_000..11_900).for_each(|milliseconds| asked.accept(milliseconds));
    asked.refuse(12_500, None);
    assert_about(asked.rate(), 25.0);
}

#[test]
fn a_wait_is_kept_by_everybody_also_who_had_a_departure_and_its_end_is_no_burst() {
    let asked = Asked::new(Rate::PerSecond(100.0));
    asked.send(100, 0..10_000);
    asked.refuse(10_000, Some(7));
    assert!(asked.model.is_held(asked.at(16_999)) && !asked.model.is_held(asked.at(17_000)));
    assert!(!asked.model.acquire_if_due(asked.at(16_999)));
    let acquired: Vec<Instant> = (0..3).map(|_| asked.model.acquire(asked.at(10_000))).collect();
    assert!(acquired[0] >= asked.at(17_000));
    assert!(acquired[2] - acquired[0] >= Duration::from_millis(38));
    // What was under way during the wait does not count again.
    asked.refuse(11_000, None);
    assert_about(asked.rate(), 50.0);
}

#[test]
fn a_pause_that_the_site_asked_for_is_no_low_rate() {
    let asked = Asked::new(Rate::PerSecond(100.0));
    asked.send(100, 0..10_000);
    asked.refuse(10_000, Some(4));
    asked.send(50, 14_000..16_500);
    asked.refuse(16_500, None);
    assert_about(asked.rate(), 25.0);
}

#[test]
fn a_crawl_delay_holds_beside_a_cut_and_goes_when_it_is_withdrawn() {
    let asked = Asked::new(Rate::PerSecond(100.0));
    let delay = |milliseconds: u64| asked.model.set_delay(Some(Duration::from_millis(milliseconds)));
    delay(100);
    assert_about(asked.rate(), 10.0);
    asked.send(10, 0..20_000);
    asked.refuse(20_000, None);
    assert_about(asked.rate(), 5.0);
    // A shorter delay does not make up for a refusal.
    delay(20);
    assert_about(asked.rate(), 5.0);
    delay(1000);
    assert_about(asked.rate(), 1.0);
    (23..25).for_each(|second| asked.accept(second * 1000));
    asked.model.set_delay(None);
    assert!(asked.rate() > 4.0 && asked.rate() <= 100.0, "{}", asked.rate());
}

/// Whatever happens, in no second do more requests leave than the rate that was asked for allows, nothing leaves
/// during a wait, and a refusal never makes it faster.
#[test]
fn whatever_comes_the_rate_asked_for_and_the_waits_are_kept() {
    for seed in 0..200 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut below = |most: u64| random.next_u64() % most;
        let most = 1 + below(400);
        let asked = Asked::new(Rate::PerSecond(most as f64));
        let (mut now, mut held) = (0, 0);
        let mut left: Vec<u64> = Vec::new();
        for _ in 0..3000 {
            now += below(12);
            if asked.model.acquire_if_due(asked.at(now)) {
                assert!(now >= held, "seed {seed}: one left at {now}, held until {held}");
                asked.model.sent(&asked.meter, asked.at(now));
                left.push(now);
            }
            let before = asked.rate();
            match below(40) {
                0 => {
                    let wait = (below(3) == 0).then(|| below(2));
                    asked.refuse(now, wait);
                    held = held.max(now + 1000 * wait.unwrap_or(0));
                    assert!(asked.rate() <= before, "seed {seed}: faster by a refusal");
                }
                1..20 => asked.accept(now),
                _ => {}
            }
            assert!(
                asked.rate() <= most as f64 + 1e-3,
                "seed {seed}: {} of {most}",
                asked.rate()
            );
        }
        for (first, start) in left.iter().enumerate() {
            let within = left[first..].iter().take_while(|at| **at < start + 1000).count() as u64;
            // The slack, and the first one.
            let bound = most + most.div_ceil(20) + 2;
            assert!(within <= bound, "seed {seed}: {within} in a second at {most}/s");
        }
    }
}

#[test]
fn a_rate_is_told_as_it_is_written() {
    let told = [Rate::PerSecond(150.0), Rate::PerSecond(0.5), Rate::Max].map(|rate| rate.to_string());
    assert_eq!(told, ["150/s", "0.5/s", "max"]);
}

#[test]
fn whoever_does_not_wait_leaves_when_it_is_time_and_not_before() {
    let asked = Asked::new(Rate::PerSecond(10.0));
    let leaves = |at| asked.model.acquire_if_due(asked.at(at));
    let left = [0, 0, 99, 100, 150, 200].map(leaves);
    assert_eq!(left, [true, false, false, true, false, true]);
    let unlimited = Asked::new(Rate::Max);
    assert!(unlimited.model.is_unlimited() && !asked.model.is_unlimited());
    assert!(
        unlimited.model.acquire_if_due(unlimited.at(0)) && unlimited.model.acquire_if_due(unlimited.at(0))
    );
}

#[test]
fn a_destination_is_restrained_while_it_is_held_or_slowed() {
    let asked = Asked::new(Rate::PerSecond(10.0));
    let is_restrained = |at| asked.model.is_restrained(asked.at(at));
    assert!(!is_restrained(0));
    asked.send(10, 0..1000);
    asked.refuse(1000, Some(5));
    assert!(is_restrained(2000) && asked.model.is_held(asked.at(2000)));
    assert!(
        is_restrained(7000) && !asked.model.is_held(asked.at(7000)),
        "it is asked less often than the user wants"
    );
}

#[test]
fn the_rate_recovers_a_step_a_second_and_not_soon_after_a_cut() {
    let asked = Asked::new(Rate::PerSecond(100.0));
    asked.send(100, 0..2000);
    asked.refuse(2000, None);
    let after = |at| {
        asked.accept(at);
        asked.rate()
    };
    let cut = asked.rate();
    assert!(cut < 100.0, "{cut}");
    assert_eq!(after(2001), cut);
    let step = after(10_000);
    assert!(step > cut, "{step}");
    assert_eq!(after(10_999), step);
    let second = after(11_000);
    assert!(second > step, "{second}");
    // The last step is long past, the last cut is not.
    asked.send(100, 11_000..20_000);
    asked.refuse(20_000, None);
    let cut = asked.rate();
    assert!(cut < second, "{cut}");
    assert_eq!(after(21_500), cut);
    assert!(after(22_000) > cut);
}

#[test]
fn that_a_destination_is_slowed_is_told_once() {
    let asked = Asked::new(Rate::PerSecond(100.0));
    asked.send(100, 0..6000);
    let told = [2000, 6000].map(|at| asked.model.on_limited(asked.at(at), None).slowed);
    assert!(told[0].is_some_and(|rate| rate < 100.0), "{told:?}");
    assert_eq!(told[1], None);
}

#[test]
fn shards_that_are_gone_are_forgotten() {
    let asked = Asked::new(Rate::PerSecond(10.0));
    for _ in 0..10 {
        drop(asked.model.meter());
    }
    let known = asked.model.meters.lock().unwrap().len();
    assert!(known <= 2, "{known}");
}
