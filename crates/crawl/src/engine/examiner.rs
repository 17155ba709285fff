//! Whether an answer is data: decoded and judged where that holds up nobody.

use std::sync::Arc;

use http::header::CONTENT_ENCODING;
use tokio::sync::Semaphore;
use v6kit_model::{Answer, Coding, ErrorKind, Fault};

use crate::engine::job::Job;
use crate::judge::decode::{decode, undo_transfer};
use crate::judge::judge;

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

    /// `answer` with its codings undone as `job` wants it, and whether it is the data.
    pub(super) async fn examine(&self, job: &Arc<Job>, answer: Answer) -> (Answer, Result<(), Fault>) {
        let answer = match at_once(job, answer) {
            Examined::Done(answer, judged) => return (answer, judged),
            Examined::Large(answer) => answer,
        };
        // It is never closed.
        let _turn = self.0.acquire().await;
        let job = Arc::clone(job);
        tokio::task::spawn_blocking(move || {
            let mut answer = answer;
            let judged = examined(&job, &mut answer, job.max_body);
            (answer, judged)
        })
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

/// What became of an answer at once.
enum Examined {
    /// It was a small one.
    Done(Answer, Result<(), Fault>),
    /// It is as it came, or undone already.
    Large(Answer),
}

/// Examines a small answer.
fn at_once(job: &Job, mut answer: Answer) -> Examined {
    let is_coded = job.coding == Coding::Undo && answer.headers.get(&CONTENT_ENCODING).is_some()
        || !answer.transfer_codings.is_empty();
    let large = if is_coded { LARGE_CODED } else { LARGE_PLAIN };
    if answer.body.len() >= large {
        return Examined::Large(answer);
    }
    if !is_coded {
        let judged = examined(job, &mut answer, job.max_body);
        return Examined::Done(answer, judged);
    }
    let as_it_came = (answer.body.clone(), answer.transfer_codings.clone());
    match undone(job, &mut answer, job.max_body.min(UNFOLDED)) {
        Err(fault) if fault.kind == ErrorKind::BodyTooLarge && job.max_body > UNFOLDED => {
            (answer.body, answer.transfer_codings) = as_it_came;
            Examined::Large(answer)
        }
        Ok(()) if answer.body.len() >= LARGE_PLAIN => Examined::Large(answer),
        undone => {
            let judged = undone.and_then(|()| judge(&answer, &job.expect));
            Examined::Done(answer, judged)
        }
    }
}

fn examined(job: &Job, answer: &mut Answer, max_body: u64) -> Result<(), Fault> {
    undone(job, answer, max_body).and_then(|()| judge(answer, &job.expect))
}

fn undone(job: &Job, answer: &mut Answer, max_body: u64) -> Result<(), Fault> {
    undo_transfer(answer, max_body).and_then(|()| match job.coding {
        Coding::Undo => decode(answer, max_body),
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
            let again = Answer {
                headers: answer.headers.map().clone().into(),
                body: answer.body.clone(),
                transfer_codings: answer.transfer_codings.clone(),
                ..Answer::default()
            };
            assert_eq!(
                matches!(at_once(&job, again), Examined::Large(_)),
                is_large,
                "{name}"
            );
            let (answer, judged) = Examiner::new().examine(&job, answer).await;
            assert_eq!((&answer.body[..], judged), (&expected[..], Ok(())), "{name}");
            assert!(
                answer.headers.map().is_empty() && answer.transfer_codings.is_empty(),
                "{name}"
            );
        }
        let (_, judged) = Examiner::new()
            .examine(&job, answer(gzip(&[b' '; 9 << 20]), true))
            .await;
        assert_eq!(judged.unwrap_err().kind, ErrorKind::BodyTooLarge);
    }
}
