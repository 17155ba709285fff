//! Whatever arrives, the SOCKS parsers use no more than there is, and the same for a longer input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use v6kit_proxy::codec4;
use v6kit_proxy::codec::{Parsed, parse_credentials, parse_greeting, parse_request, parse_udp_header};

fn stays_the_same<T: PartialEq + std::fmt::Debug>(parse: fn(&[u8]) -> Parsed<T>, bytes: &[u8]) {
    if let Ok(Some((message, used))) = parse(bytes) {
        assert!(used <= bytes.len() && used <= 530);
        assert_eq!(parse(&bytes[..used]), Ok(Some((message, used))));
    }
}

fuzz_target!(|bytes: &[u8]| {
    stays_the_same(parse_greeting, bytes);
    stays_the_same(parse_credentials, bytes);
    stays_the_same(parse_request, bytes);
    stays_the_same(codec4::parse_request, bytes);
    if let Ok((_, payload)) = parse_udp_header(bytes) {
        assert!(payload <= bytes.len());
    }
});
