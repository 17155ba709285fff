//! Whatever arrives, a head ends where it ends however it is cut into pieces, and credentials hold no
//! control characters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use v6kit_proxy::framing::{Framing, Violation};
use v6kit_proxy::head::{basic_credentials, may_be_connect, parse_connect};

/// How many bytes pass, and whether more are wanted, when `bytes` arrive in pieces of `size`.
fn passed(bytes: &[u8], size: usize) -> (usize, Result<(), Violation>) {
    let mut framing = Framing::default();
    let (mut passed, mut arrived) = (0, 0);
    while arrived < bytes.len() {
        arrived = bytes.len().min(arrived + size);
        loop {
            match framing.accept(&bytes[passed..arrived]) {
                Ok(0) => break,
                Ok(more) => passed += more,
                Err(violation) => return (passed, Err(violation)),
            }
        }
    }
    (passed, Ok(()))
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((connect, used))) = parse_connect(bytes) {
        assert!(may_be_connect(bytes) || bytes.starts_with(b"\r\n") || bytes.starts_with(b"\n"));
        assert_eq!(parse_connect(&bytes[..used]), Ok(Some((connect, used))));
    }
    if let Some((user, _)) = basic_credentials(bytes) {
        assert!(!user.contains(char::is_control));
    }
    let whole = passed(bytes, bytes.len().max(1));
    assert!(whole.0 <= bytes.len());
    for size in [1, 2, 7] {
        let pieces = passed(bytes, size);
        assert_eq!((whole.0, whole.1.is_err()), (pieces.0, pieces.1.is_err()), "in pieces of {size}");
    }
});
