//! Heads that are not written as they should be, made into such that are.
//!
//! What browsers and curl read is read. What is changed or left out on the way, and looks as if it said where the
//! message ends, is told: somebody between here and the server may have read it otherwise.

use crate::error::Violation;
use crate::fields::{is_token, is_value, trim};
use crate::framing::Doubts;

/// Stands for a control character, which no field may hold.
const UNREADABLE: u8 = b'?';

/// Rewrites a head, and tells what is in doubt afterwards.
///
/// # Errors
/// The status line cannot be read, or it is not known where the head ends.
pub(crate) fn mend(text: &[u8]) -> Result<(Vec<u8>, Doubts), Violation> {
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .peekable();
    let mut mended = Vec::with_capacity(text.len());
    let mut doubts = Doubts::default();
    let first = lines.next().unwrap_or_default();
    mend_status_line(first, &mut mended)?;
    doubts.ends |= mended != first;
    mended.extend_from_slice(b"\r\n");
    let mut logical = Vec::new();
    while let Some(line) = lines.next() {
        // The blank line, and what split() sees behind it.
        if line.is_empty() {
            break;
        }
        if line.starts_with(b"\r") {
            return Err(Violation::HeadEnd);
        }
        logical.clear();
        logical.extend_from_slice(line);
        let mut is_odd = is_folded(line);
        while let Some(more) = lines.next_if(|more| is_folded(more)) {
            // RFC 9112 section 5.2.
            while logical.last().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
                logical.pop();
            }
            logical.push(b' ');
            logical.extend_from_slice(trim(more));
            is_odd = true;
        }
        mend_field(&logical, is_odd, &mut mended, &mut doubts);
    }
    mended.extend_from_slice(b"\r\n");
    Ok((mended, doubts))
}

/// Whether a line belongs to the one before.
fn is_folded(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// `HTTP/` digits, perhaps with a dot, spaces, three digits, and whatever follows.
fn mend_status_line(line: &[u8], mended: &mut Vec<u8>) -> Result<(), Violation> {
    let bad = || Violation::StatusLine;
    let rest = line.strip_prefix(b"HTTP/").ok_or_else(bad)?;
    let space = rest.iter().position(|byte| *byte == b' ').ok_or_else(bad)?;
    let version: &[u8] = match &rest[..space] {
        b"1.0" => b"HTTP/1.0 ",
        [b'1', b'.', minor] if minor.is_ascii_digit() => b"HTTP/1.1 ",
        [b'2' | b'3'] | [b'2' | b'3', b'.', b'0'] => b"HTTP/1.1 ",
        _ => return Err(bad()),
    };
    let rest = rest[space..].trim_ascii_start();
    let (status, reason) = rest.split_first_chunk::<3>().ok_or_else(bad)?;
    if !status.iter().all(u8::is_ascii_digit) || reason.first().is_some_and(u8::is_ascii_digit) {
        return Err(bad());
    }
    mended.extend_from_slice(version);
    mended.extend_from_slice(status);
    if !reason.is_empty() {
        mended.push(b' ');
        mended.extend(reason.strip_prefix(b" ").unwrap_or(reason).iter().map(readable));
    }
    Ok(())
}

/// Adds a field whose folds have been joined, where its name can be read.
fn mend_field(line: &[u8], mut is_odd: bool, mended: &mut Vec<u8>, doubts: &mut Doubts) {
    let colon = memchr::memchr(b':', line);
    let (name, value) = colon.map_or((line, &b""[..]), |colon| (&line[..colon], &line[colon + 1..]));
    let spelled = trim(name);
    let is_read = colon.is_some() && is_token(spelled) && !is_folded(line);
    is_odd |= !is_read || spelled != name || !value.iter().copied().all(is_value);
    if is_odd {
        doubts.ends |= resembles_framing(line);
    }
    if is_read {
        mended.extend_from_slice(spelled);
        mended.extend_from_slice(b": ");
        mended.extend(trim(value).iter().map(readable));
        mended.extend_from_slice(b"\r\n");
        return;
    }
    let letters = letters(name);
    // Without a colon, its value may be part of it.
    let could_be = |field: &[u8]| letters == field || (colon.is_none() && letters.starts_with(field));
    if could_be(b"transferencoding") {
        doubts.coding = true;
    } else if could_be(b"contentlength") {
        doubts.lengths.push(value.to_vec());
    }
}

fn readable(byte: &u8) -> u8 {
    if is_value(*byte) { *byte } else { UNREADABLE }
}

/// Whether a reader that skips what it does not know could take it for a field of the framing.
fn resembles_framing(line: &[u8]) -> bool {
    let letters = letters(line);
    let holds = |name: &[u8]| letters.windows(name.len()).any(|part| part == name);
    letters.is_empty() || holds(b"transferencoding") || holds(b"contentlength") || holds(b"connection")
}

/// The letters and digits, in lower case.
fn letters(text: &[u8]) -> Vec<u8> {
    text.iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_some_take_for_the_end_of_the_head_is_none_for_nobody() {
        for line in ["\r5", "\r\r", "\rContent-Length: 5", "\r "] {
            let text = format!("HTTP/1.1 200 OK\r\nA: b\r\n{line}\r\nC: d\r\n\r\n");
            assert_eq!(mend(text.as_bytes()), Err(Violation::HeadEnd), "{line:?}");
        }
        // Elsewhere in a line it ends nothing.
        assert!(mend(b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n").is_ok());
    }

    fn mend_fields(fields: &str) -> (String, Doubts) {
        let (mended, doubts) = mend(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").as_bytes()).unwrap();
        let text = String::from_utf8(mended).unwrap();
        let fields = text.strip_prefix("HTTP/1.1 200 OK\r\n").unwrap();
        (fields.strip_suffix("\r\n").unwrap().to_owned(), doubts)
    }

    #[test]
    fn what_curl_reads_becomes_what_everybody_reads() {
        for (odd, mended) in [
            ("X-A : b", "X-A: b\r\n"),
            ("X-A\t:b", "X-A: b\r\n"),
            ("X-A: a\r\n  b\r\n\tc\r\nX-B: d", "X-A: a b c\r\nX-B: d\r\n"),
            ("X-A:\r\n a", "X-A:  a\r\n"),
            ("X-A: a\x01b\x7f", "X-A: a?b?\r\n"),
            ("X-A: a\rb", "X-A: a?b\r\n"),
            ("My Header: b\r\nX-B: c", "X-B: c\r\n"),
            ("X[0]: b", ""),
            (": b", ""),
            ("no colon", ""),
            ("X-Größe: b", ""),
            ("X-A: Größe", "X-A: Größe\r\n"),
            (" X-A: b\r\nX-B: c", "X-B: c\r\n"),
        ] {
            let (fields, doubts) = mend_fields(odd);
            let squeezed = |text: &str| text.replace("  ", " ");
            assert_eq!(squeezed(&fields), squeezed(mended), "{odd:?}");
            assert_eq!(doubts, Doubts::default(), "{odd:?}");
        }
    }

    #[test]
    fn a_mended_field_of_the_framing_is_read_and_ends_the_connection() {
        for odd in [
            "Transfer-Encoding : chunked",
            "Transfer-Encoding:\r\n chunked",
            "Content-Length\t: 7",
            "Connection : close",
            "X-A: b\r\n Transfer-Encoding: chunked",
            "Transfer-Encoding: chunked\x01",
            "Content-Length: 7\x0b",
        ] {
            let (_, doubts) = mend_fields(odd);
            assert!(
                doubts.ends && !doubts.coding && doubts.lengths.is_empty(),
                "{odd:?} {doubts:?}"
            );
        }
        let (fields, _) = mend_fields("Transfer-Encoding: \x0bchunked\x01");
        assert_eq!(fields, "Transfer-Encoding: ?chunked?\r\n");
    }

    #[test]
    fn a_lost_field_that_could_be_of_the_framing_is_told() {
        for odd in [
            "Transfer-Encoding chunked",
            "Transfer Encoding: chunked",
            "Transfer\0-Encoding: chunked",
            "\x0bTransfer-Encoding: chunked",
            " Transfer-Encoding: chunked",
            "\u{feff}Transfer-Encoding: chunked",
        ] {
            let (_, doubts) = mend_fields(odd);
            assert!(doubts.ends && doubts.coding, "{odd:?} {doubts:?}");
        }
        let (_, doubts) = mend_fields("Content Length: 7\r\nContent-Length\x01: 8\r\nContent-Length 9");
        assert_eq!(doubts.lengths, [b" 7".to_vec(), b" 8".to_vec(), vec![]]);
    }
}
