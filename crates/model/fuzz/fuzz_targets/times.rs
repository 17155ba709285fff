//! Whatever stands in Retry-After, the wait is bounded, and a field that is there is a wish.
#![no_main]

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use v6kit_model::{lenient_date, retry_after};

fuzz_target!(|bytes: &[u8]| {
    let mut headers = HeaderMap::new();
    let (first, rest) = bytes.split_at(bytes.len().min(1));
    let mut fields = rest
        .split(|byte| *byte == b'\n')
        .filter_map(|field| HeaderValue::from_bytes(field).ok());
    if first == b"d"
        && let Some(date) = fields.next()
    {
        headers.insert(header::DATE, date);
    }
    for field in fields {
        let _ = field.to_str().map(lenient_date);
        headers.append(header::RETRY_AFTER, field);
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let wait = retry_after(&headers, now);
    assert_eq!(wait.is_some(), headers.contains_key(header::RETRY_AFTER));
    assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(86_400)), "{wait:?}");
});
