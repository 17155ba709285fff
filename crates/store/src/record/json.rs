//! JSON as it is appended to a buffer.

use std::time::Duration;

/// Digits.
const HEX: &[u8; 16] = b"0123456789abcdef";

pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Milliseconds with one decimal.
pub(crate) fn push_milliseconds(out: &mut Vec<u8>, took: Duration) {
    let tenths = u64::try_from(took.as_micros())
        .unwrap_or(u64::MAX)
        .saturating_add(50)
        / 100;
    push_number(out, tenths / 10);
    out.extend([b'.', b'0' + (tenths % 10) as u8]);
}

/// A JSON string (RFC 8259 section 7).
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = find_escaped(rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend([HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The first byte that a JSON string cannot hold as it is. Looked for by blocks, each in a few vector
/// instructions.
fn find_escaped(bytes: &[u8]) -> Option<usize> {
    let is_escaped = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    let (blocks, _) = bytes.as_chunks::<16>();
    let clean = blocks
        .iter()
        .take_while(|block| !block.iter().fold(false, |found, byte| found | is_escaped(byte)))
        .count();
    let from = 16 * clean;
    bytes[from..].iter().position(is_escaped).map(|at| from + at)
}

/// Line breaks in JSON are never part of a string, so that a space may stand for them.
pub(crate) fn push_json(out: &mut Vec<u8>, json: &[u8]) {
    let start = out.len();
    out.extend_from_slice(json);
    if memchr::memchr2(b'\n', b'\r', json).is_some() {
        for byte in &mut out[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_again_wherever_something_is_escaped() {
        for special in ["\"", "\\", "\n", "\u{1}", "\"\"", "é"] {
            for before in 0..40 {
                let text = "a".repeat(before) + special + &"b".repeat(40 - before) + special;
                let mut out = Vec::new();
                push_text(&mut out, &text);
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            }
        }
    }
}
