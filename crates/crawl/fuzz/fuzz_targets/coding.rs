//! A body unfolds to as much as may be, or is refused.
#![no_main]
#![allow(dead_code, reason = "the file is taken in as it is")]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use libfuzzer_sys::fuzz_target;
use v6kit_model::{Answer, TransferCoding};

#[path = "../../src/judge/decode.rs"]
mod decode;
#[path = "../../src/judge/unfolded.rs"]
mod unfolded;

const MOST: u64 = 1 << 16;
/// More than is unfolded at once.
const PIECE: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let (coding, body) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let mut answer = Answer {
        body: Bytes::copy_from_slice(body),
        transfer_codings: match coding.first() {
            Some(b'!') => vec![TransferCoding::Gzip],
            Some(b'?') => vec![TransferCoding::Deflate],
            _ => Vec::new(),
        },
        ..Answer::default()
    };
    let coding = coding.strip_prefix(b"!").or(coding.strip_prefix(b"?")).unwrap_or(coding);
    if let Ok(coding) = HeaderValue::from_bytes(coding) {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, coding);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        answer.headers = headers.into();
    }
    // A body lies in memory with what it unfolds to, and with no more.
    let mut room = |held: usize| assert!(held as u64 <= 2 * MOST.max(body.len() as u64) + PIECE, "{held} bytes");
    let decoded = decode::undo_transfer(&mut answer, MOST, &mut room)
        .and_then(|()| decode::decode(&mut answer, MOST, &mut room));
    if decoded.is_ok() {
        let most = body.len().max(MOST as usize);
        assert!(answer.body.len() <= most, "{} bytes", answer.body.len());
    }
});
