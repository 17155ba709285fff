//! `-c auto`: how many requests in flight a site and this machine are good for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::limits::Limits;
use crate::stats::progress::Progress;

/// How often the counters are read.
const LOOK: Duration = Duration::from_millis(50);

/// The shortest and the longest time over which a limit is judged.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);

/// Answers for each request in flight before a limit is judged.
const ANSWERS: f64 = 4.0;

/// Doubling the limit must bring this much more throughput for another doubling.
const GAIN: f64 = 1.3;

/// The limit counts as used when so much of it is in flight on average.
const USED: f64 = 0.75;

/// Latencies, as a multiple of that at the knee, at which the limit shrinks, and below which it may grow.
const SLOW: f64 = 1.5;
const QUICK: f64 = 1.15;

/// Periods after which a smaller limit is tried, should the knee have moved.
const RECHECK: u32 = 24;

/// What was seen under one limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed {
    /// Answers per second.
    pub(crate) rate: f64,
    /// The mean, in seconds.
    pub(crate) latency: f64,
    /// The mean number of requests in flight, as a part of the limit.
    pub(crate) used: f64,
    /// The part of attempts that failed without an answer.
    pub(crate) failed: f64,
}

/// Finds the knee: where more requests in flight bring longer waits rather than more answers.
///
/// It doubles the limit for as long as throughput follows, then stays near the last limit that paid. There it
/// watches latency as TCP Vegas does (Brakmo and Peterson, 1995): it shrinks when answers take much longer
/// than they did at the knee, and grows a little while they do not.
#[derive(Debug)]
pub(crate) struct ConcurrencyController {
    limit: usize,
    bounds: (usize, usize),
    phase: Phase,
    /// The shortest mean latency of all limits, in seconds.
    base: f64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Doubling. What the limit before came to.
    Doubling { before: Option<(usize, f64)> },
    /// At the knee, where answers take so long, for so many periods.
    Holding { latency: f64, periods: u32 },
    /// Trying a smaller limit than this one, which came to this rate.
    Trying {
        instead_of: usize,
        rate: f64,
        latency: f64,
    },
}

impl ConcurrencyController {
    /// Between `least` and `most`.
    pub(crate) fn new(least: usize, most: usize) -> Self {
        let most = most.max(least);
        Self {
            limit: least.max(4).min(most),
            bounds: (least, most),
            phase: Phase::Doubling { before: None },
            base: f64::INFINITY,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Takes in what was seen under the present limit, and sets the next one.
    pub(crate) fn step(&mut self, seen: Observed) {
        self.base = self.base.min(seen.latency);
        if seen.failed > 0.1 {
            // Whatever it is, more of it does not help.
            self.hold(self.limit * 7 / 10, seen.latency);
            return;
        }
        match self.phase {
            Phase::Doubling { before } => self.double(before, seen),
            Phase::Holding { latency, periods } => self.keep(latency, periods, seen),
            Phase::Trying {
                instead_of,
                rate,
                latency,
            } => {
                // A quarter less of the limit that costs less than a tenth was too much.
                if seen.rate > 0.9 * rate {
                    self.hold(self.limit, seen.latency);
                } else {
                    self.hold(instead_of, latency);
                }
            }
        }
    }

    fn double(&mut self, before: Option<(usize, f64)>, seen: Observed) {
        if seen.used < USED {
            // Something else is the limit, such as the pace. Growing would show nothing.
            return;
        }
        match before {
            Some((limit, rate)) if seen.rate < GAIN * rate => {
                // The knee lies between: as many as answer at full speed without waiting (Little's law), but
                // not far below what paid.
                let best = seen.rate.max(rate);
                let knee = (best * self.base).ceil() as usize;
                let knee = knee.clamp(limit.div_ceil(2), limit.max(self.limit * 3 / 4));
                self.hold(knee, knee as f64 / best);
            }
            _ if self.limit >= self.bounds.1 => self.hold(self.limit, seen.latency),
            _ => {
                self.phase = Phase::Doubling {
                    before: Some((self.limit, seen.rate)),
                };
                self.set(self.limit * 2);
            }
        }
    }

    fn keep(&mut self, latency: f64, periods: u32, seen: Observed) {
        if periods >= RECHECK && seen.used >= USED && self.limit > self.bounds.0.max(4) {
            self.phase = Phase::Trying {
                instead_of: self.limit,
                rate: seen.rate,
                latency,
            };
            self.set(self.limit * 3 / 4);
            return;
        }
        self.phase = Phase::Holding {
            latency,
            periods: periods + 1,
        };
        if seen.latency > SLOW * latency {
            self.set(self.limit - (self.limit / 10).max(1));
        } else if seen.latency < QUICK * latency && seen.used >= USED {
            self.set(self.limit + (self.limit / 20).max(1));
        }
    }

    fn hold(&mut self, limit: usize, latency: f64) {
        self.set(limit);
        let latency = latency.max(self.base);
        self.phase = Phase::Holding { latency, periods: 0 };
    }

    fn set(&mut self, limit: usize) {
        self.limit = limit.clamp(self.bounds.0, self.bounds.1);
    }
}

/// Sums of the shards' counters.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    answers: u64,
    latency: u64,
    failures: u64,
}

impl Sums {
    fn of(shards: &[Arc<Progress>]) -> Self {
        shards.iter().fold(Self::default(), |sums, shard| Self {
            answers: sums.answers + shard.answers.get(),
            latency: sums.latency + shard.latency_us.get(),
            failures: sums.failures + shard.silences.get(),
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            answers: self.answers - before.answers,
            latency: self.latency - before.latency,
            failures: self.failures - before.failures,
        }
    }
}

/// Moves the limits for as long as it is polled.
pub(crate) async fn adapt(mut controller: ConcurrencyController, limits: Limits, shards: Vec<Arc<Progress>>) {
    loop {
        limits.set(controller.limit());
        settle(&shards, controller.limit()).await;
        controller.step(observe(&shards, controller.limit()).await);
    }
}

/// Waits until what was in flight under the limit before has come in.
async fn settle(shards: &[Arc<Progress>], limit: usize) {
    let (began, before) = (Instant::now(), Sums::of(shards));
    while Sums::of(shards).since(before).answers < limit as u64 && began.elapsed() < LONGEST {
        tokio::time::sleep(LOOK).await;
    }
}

async fn observe(shards: &[Arc<Progress>], limit: usize) -> Observed {
    let (began, before) = (Instant::now(), Sums::of(shards));
    let (mut in_flight, mut looks) = (0, 0u32);
    loop {
        tokio::time::sleep(LOOK).await;
        in_flight += shards.iter().map(|shard| shard.in_flight.get()).sum::<u64>();
        looks += 1;
        let (elapsed, sums) = (began.elapsed(), Sums::of(shards).since(before));
        let enough = sums.answers as f64 >= (ANSWERS * limit as f64).max(10.0) && elapsed >= SHORTEST;
        let late = elapsed >= LONGEST && sums.answers + sums.failures > 0;
        if enough || late {
            return Observed {
                rate: sums.answers as f64 / elapsed.as_secs_f64(),
                latency: sums.latency as f64 / 1e6 / sums.answers.max(1) as f64,
                used: in_flight as f64 / f64::from(looks) / limit as f64,
                failed: sums.failures as f64 / (sums.answers + sums.failures) as f64,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A site with `workers`, each of which takes `service` seconds for an answer, seen through noise.
    struct Site {
        workers: f64,
        service: f64,
        noise: u64,
    }

    impl Site {
        fn observe(&mut self, limit: usize) -> Observed {
            self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise = 0.96 + (self.noise >> 33) as f64 / f64::from(1u32 << 31) * 0.08;
            let limit = limit as f64;
            let rate = limit.min(self.workers) / self.service * noise;
            Observed {
                rate,
                latency: limit / rate,
                used: 1.0,
                failed: 0.0,
            }
        }
    }

    fn run(controller: &mut ConcurrencyController, site: &mut Site, steps: usize) -> Vec<usize> {
        (0..steps)
            .map(|_| {
                let seen = site.observe(controller.limit());
                controller.step(seen);
                controller.limit()
            })
            .collect()
    }

    #[test]
    fn the_limit_settles_near_the_number_of_workers_and_stays_there() {
        for workers in [6, 8, 12, 25, 60, 100, 300] {
            let mut site = Site {
                workers: f64::from(workers),
                service: 0.05,
                noise: 3,
            };
            let mut controller = ConcurrencyController::new(1, 1000);
            let limits = run(&mut controller, &mut site, 300);
            let (low, high) = (workers as usize * 6 / 10, workers as usize * 19 / 10 + 2);
            assert!(
                limits[20..].iter().all(|limit| (low..=high).contains(limit)),
                "{workers}: {limits:?}"
            );
        }
    }

    #[test]
    fn a_site_that_becomes_slower_gets_fewer_requests_at_once() {
        let mut site = Site {
            workers: 100.0,
            service: 0.05,
            noise: 3,
        };
        let mut controller = ConcurrencyController::new(1, 1000);
        run(&mut controller, &mut site, 50);
        site.workers = 20.0;
        let limits = run(&mut controller, &mut site, 200);
        assert!(limits[150..].iter().all(|limit| *limit <= 45), "{limits:?}");
    }

    #[test]
    fn a_limit_that_is_not_used_does_not_grow() {
        let mut controller = ConcurrencyController::new(1, 1000);
        let seen = Observed {
            rate: 100.0,
            latency: 0.01,
            used: 0.25,
            failed: 0.0,
        };
        (0..50).for_each(|_| controller.step(seen));
        assert_eq!(controller.limit(), 4);
    }

    #[test]
    fn failures_make_it_back_off() {
        let mut site = Site {
            workers: 400.0,
            service: 0.05,
            noise: 3,
        };
        let mut controller = ConcurrencyController::new(2, 1000);
        run(&mut controller, &mut site, 20);
        let before = controller.limit();
        for _ in 0..3 {
            let seen = Observed {
                failed: 0.5,
                ..site.observe(controller.limit())
            };
            controller.step(seen);
        }
        assert!(
            controller.limit() < before / 2,
            "{before} -> {}",
            controller.limit()
        );
    }
}
