//! Segments as a disk may give them back: every form is read or refused, and what is read is a line of JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use v6kit_store::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((b'w', warc)) => fuzzing::read_warc(warc),
        Some((_, line)) => fuzzing::read_line(line),
        None => {}
    }
});
