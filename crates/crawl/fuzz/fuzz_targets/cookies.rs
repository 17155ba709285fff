//! Cookies: kept within bounds, sent back as a header can hold them, and to nobody else.
#![no_main]
#![allow(dead_code, reason = "the file is taken in as it is")]

use std::net::Ipv6Addr;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use url::Url;

#[path = "../../src/connect/cookies.rs"]
mod cookies;

fuzz_target!(|bytes: &[u8]| {
    let given: HeaderMap = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|field| Some((SET_COOKIE, HeaderValue::from_bytes(field).ok()?)))
        .collect();
    let jars = cookies::Jars::new();
    let url = |text: &str| text.parse::<Url>().expect("a URL");
    let (from, other) = (Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED);
    let site = url("https://a.site.test/x/y");
    jars.keep(from, &site, &given);
    let shown = |from, to: &str| {
        let mut headers = HeaderMap::new();
        jars.fill(from, &url(to), &mut headers);
        headers.remove(COOKIE)
    };
    if let Some(cookie) = shown(from, site.as_str()) {
        assert!(cookie.is_sensitive());
    }
    assert_eq!(shown(other, site.as_str()), None);
    for elsewhere in ["https://b.other.test/x/y", "https://test/", "https://[2001:db8::1]/"] {
        assert_eq!(shown(from, elsewhere), None, "{elsewhere}");
    }
});
