//! Whether an answer is data: decoded and judged where that holds up nobody.

use std::sync::Arc;

use http::header::CONTENT_ENCODING;
use tokio::sync::Semaphore;
use v6kit_model::{Answer, Coding, ErrorKind, Fault};

use crate::connect::memory::Memory;
use crate::engine::job::Job;
use crate::judge::decode::{Room, decode, undo_transfer};
use crate::judge::judge;
use crate::site::drain::Drain;

/// Coded bodies from this size on take longer to decode, in bytes, than to hand over to another thread.
const LARGE_CODED: usize = 16 << 10;

/// The same of bodies that are only matched and parsed.
const LARGE_PLAIN: usize = 256 << 10;

/// A small coded body is undone up to this size, in bytes, before it counts as large.
const UNFOLDED: u64 = 1 << 20;

/// Large answers of a shard that are examined at a time: its own thread goes on beside them.
const AT_A_TIME: usize = 2;

/// Examines answers: small ones at once, large ones on other threads, so that the requests of a shard do not wait for
/// the decoding and matching of one body.
#[derive(Debug)]
pub(super) struct Examiner(Semaphore);

impl Examiner {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(AT_A_TIME))
    }

    /// Undoes the codings of `answer` as `job` wants it, and says whether it is the data. What a large one unfolds to has
    /// its part of `memory`, and waits for that until the crawl is brought to its end.
    pub(super) async fn examine(
        &self,
        job: &Arc<Job>,
        memory: &Memory,
        drain: &Drain,
        answer: &mut Answer,
    ) -> Result<(), Fault> {
        if let Some(judged) = at_once(job, answer) {
            return judged;
        }
        // It is never closed.
        let _turn = self.0.acquire().await;
        let (job, drain, mut grant) = (Arc::clone(job), drain.clone(), memory.unfolding());
        let mut large = std::mem::take(answer);
        let examined = tokio::task::spawn_blocking(move || {
            let room = &mut |bytes| grant.grow(bytes, || drain.is_cancelled());
            let judged = examined(&job, &mut large, job.max_body, room);
            large.body = grant.hold(large.body);
            (large, judged)
        })
        .await;
        let (large, judged) = examined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        *answer = large;
        judged
    }
}

/// Examines a small answer. `None` for a large one, which is as it came, or undone already.
fn at_once(job: &Job, answer: &mut Answer) -> Option<Result<(), Fault>> {
    let is_coded = job.coding == Coding::Undo && answer.headers.get(&CONTENT_ENCODING).is_some()
        || !answer.transfer_codings.is_empty();
    let large = if is_coded { LARGE_CODED } else { LARGE_PLAIN };
    if answer.body.len() >= large {
        return None;
    }
    if !is_coded {
        return Some(examined(job, answer, job.max_body, &mut |_| {}));
    }
    let as_it_came = (answer.body.clone(), answer.transfer_codings.clone());
    match undone(job, answer, job.max_body.min(UNFOLDED), &mut |_| {}) {
        Err(fault) if fault.kind == ErrorKind::BodyTooLarge && job.max_body > UNFOLDED => {
            (answer.body, answer.transfer_codings) = as_it_came;
            None
        }
        Ok(()) if answer.body.len() >= LARGE_PLAIN => None,
        undone => Some(undone.and_then(|()| judge(answer, &job.expect))),
    }
}

fn examined(job: &Job, answer: &mut Answer, max_body: u64, room: Room<'_>) -> Result<(), Fault> {
    undone(job, answer, max_body, room).and_then(|()| judge(answer, &job.expect))
}

/// Undoes the codings of an answer as `job` wants it.
pub(super) fn undone(job: &Job, answer: &mut Answer, max_body: u64, room: Room<'_>) -> Result<(), Fault> {
    undo_transfer(answer, max_body, room).and_then(|()| match job.coding {
        Coding::Undo => decode(answer, max_body, room),
        Coding::Keep => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use v6kit_model::input::{Items, RequestSpec};
    use v6kit_model::{Order, TransferCoding};
    use v6kit_store::Storage;

    use super::*;
    use crate::engine::job::CookiePolicy;
    use crate::judge::expect::Expectations;

    fn job() -> Arc<Job> {
        Arc::new(Job {
            items: Items::templates(Vec::new()).unwrap(),
            request: RequestSpec::new(http::Method::GET, Coding::Undo),
            order: Order::Sequential,
            limit: None,
            max_body: 8 << 20,
            storage: Storage::default(),
            expect: Expectations::new(vec!["json".parse().unwrap()], &[]).unwrap(),
            coding: Coding::Undo,
            redirects: 0,
            cookies: CookiePolicy::Forget,
        })
    }

    async fn examine(job: &Arc<Job>, mut answer: Answer) -> (Answer, Result<(), Fault>) {
        let (memory, drain) = (Memory::new(64 << 20), Drain::default());
        let judged = Examiner::new().examine(job, &memory, &drain, &mut answer).await;
        (answer, judged)
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn answer(body: Vec<u8>, is_coded: bool) -> Answer {
        let mut answer = Answer {
            body: body.into(),
            ..Answer::default()
        };
        if is_coded {
            answer.headers = http::HeaderMap::from_iter([(CONTENT_ENCODING, "gzip".parse().unwrap())]).into();
        }
        answer
    }

    #[tokio::test]
    async fn large_answers_are_handed_over_and_come_to_the_same() {
        let job = job();
        let small = b"{\"a\":1}".to_vec();
        // What unfolds to much more than it came with, in one coding and in two.
        let large = [b"\"".to_vec(), vec![b'x'; 4 << 20], b"\"".to_vec()].concat();
        let mut twice = answer(gzip(&gzip(&large)), true);
        twice.transfer_codings = vec![TransferCoding::Gzip];
        for (name, answer, expected, is_large) in [
            ("small", answer(small.clone(), false), &small, false),
            ("small and coded", answer(gzip(&small), true), &small, false),
            ("large", answer(large.clone(), false), &large, true),
            ("unfolding", answer(gzip(&large), true), &large, true),
            ("unfolding twice", twice, &large, true),
        ] {
            assert!(answer.body.len() < LARGE_CODED || name == "large", "{name}");
            let mut again = Answer {
                headers: answer.headers.map().clone().into(),
                body: answer.body.clone(),
                transfer_codings: answer.transfer_codings.clone(),
                ..Answer::default()
            };
            assert_eq!(at_once(&job, &mut again).is_none(), is_large, "{name}");
            let (answer, judged) = examine(&job, answer).await;
            assert_eq!((&answer.body[..], judged), (&expected[..], Ok(())), "{name}");
            assert!(
                answer.headers.map().is_empty() && answer.transfer_codings.is_empty(),
                "{name}"
            );
        }
        let (_, judged) = examine(&job, answer(gzip(&[b' '; 9 << 20]), true)).await;
        assert_eq!(judged.unwrap_err().kind, ErrorKind::BodyTooLarge);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_unfolds_waits_for_memory_and_comes_to_its_end() {
        let (memory, examiner) = (Memory::new(5 << 20), Arc::new(Examiner::new()));
        let job = job();
        let body = [b"\"".to_vec(), vec![b'x'; 4 << 20], b"\"".to_vec()].concat();
        memory.add_records(5 << 20);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let (memory, examiner, job) = (memory.clone(), Arc::clone(&examiner), Arc::clone(&job));
            let mut answer = answer(gzip(&body), true);
            tasks.spawn(async move {
                let drain = Drain::default();
                let judged = examiner.examine(&job, &memory, &drain, &mut answer).await;
                (answer.body.len(), judged)
            });
        }
        while !memory.is_short() {
            tokio::task::yield_now().await;
        }
        memory.remove_records(5 << 20);
        while let Some(done) = tasks.join_next().await {
            assert_eq!(done.unwrap(), (body.len(), Ok(())));
        }
        // Where the crawl is ended nobody waits, whatever is taken.
        memory.add_records(5 << 20);
        let drain = Drain::default();
        drain.cancel();
        let mut answer = answer(gzip(&body), true);
        let _ = examiner.examine(&job, &memory, &drain, &mut answer).await;
        assert_eq!(answer.body.len(), body.len());
        drop(answer);
        assert!(!memory.is_short());
    }
}
