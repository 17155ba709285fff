//! Whatever arrives, a CONNECT head ends where it ends, and credentials hold no control characters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use v6kit_proxy::head::{basic_credentials, may_be_connect, parse_connect};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((connect, used))) = parse_connect(bytes) {
        assert!(may_be_connect(bytes) || bytes.starts_with(b"\r\n") || bytes.starts_with(b"\n"));
        assert_eq!(parse_connect(&bytes[..used]), Ok(Some((connect, used))));
    }
    if let Some((user, _)) = basic_credentials(bytes) {
        assert!(!user.contains(char::is_control));
    }
});
