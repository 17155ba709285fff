//! Whatever arrives, a head ends where it ends however it is cut into pieces, and credentials hold no
//! control characters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use v6kit_proxy::framing::{Framing, Passed, Violation};
use v6kit_proxy::head::{basic_credentials, may_be_connect, parse_connect};

/// What passes, and whether more is wanted, when `bytes` arrive in pieces of `size`.
fn passed(bytes: &[u8], size: usize) -> (Vec<u8>, Result<(), Violation>) {
    let mut framing = Framing::default();
    let (mut out, mut shown) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        shown.extend_from_slice(piece);
        loop {
            match framing.pass(&mut shown) {
                Ok(Passed { read: 0, .. }) => break,
                Ok(Passed { read, written }) => {
                    assert!(written <= read && read <= shown.len());
                    out.extend_from_slice(&shown[..written]);
                    shown.drain(..read);
                }
                Err(violation) => return (out, Err(violation)),
            }
        }
    }
    (out, Ok(()))
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
    assert!(whole.0.len() <= bytes.len());
    // What passed is in the one form that it can have.
    assert_eq!(passed(&whole.0, whole.0.len().max(1)).0, whole.0);
    for size in [1, 2, 7] {
        let pieces = passed(bytes, size);
        assert_eq!((&whole.0, whole.1.is_err()), (&pieces.0, pieces.1.is_err()), "in pieces of {size}");
    }
});
