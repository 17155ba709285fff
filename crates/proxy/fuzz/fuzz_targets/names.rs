//! Destinations are written as they are read, and user names never panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use v6kit_proxy::{Target, UserName, parse_htpasswd};

fuzz_target!(|text: &str| {
    if let Ok(target) = Target::parse(text, None) {
        assert_eq!(Target::parse(&target.to_string(), None), Ok(target));
    }
    let _ = UserName::parse(text);
    let _ = parse_htpasswd(text);
});
