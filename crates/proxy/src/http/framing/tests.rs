use super::*;

const LINE: &str = "POST http://a/ HTTP/1.1\r\nHost: a\r\n";

/// Shows `bytes` in pieces of `size`, as a connection would.
fn in_pieces(bytes: &[u8], size: usize) -> Result<(Framing, Vec<u8>), Violation> {
    let mut framing = Framing::default();
    let (mut shown, mut passed) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        shown.extend_from_slice(piece);
        while !shown.is_empty() {
            let Passed { read, written } = framing.pass(&mut shown)?;
            passed.extend_from_slice(&shown[..written]);
            shown.drain(..read);
            if read == 0 {
                break;
            }
        }
    }
    Ok((framing, passed))
}

#[track_caller]
fn assert_ends(request: &str) {
    for size in [1, 2, 3, 7, request.len()] {
        let (framing, _) =
            in_pieces(request.as_bytes(), size).unwrap_or_else(|error| panic!("{request:?}: {error}"));
        assert!(framing.is_between_requests(), "{request:?} in pieces of {size}");
    }
}

#[track_caller]
fn assert_refused(request: &str) {
    for size in [1, 2, 3, 7, request.len()] {
        assert!(
            in_pieces(request.as_bytes(), size).is_err(),
            "{request:?} in pieces of {size}"
        );
    }
}

#[test]
fn requests_end_where_they_say() {
    for content in [
        "\r\n",
        "Content-Length: 0\r\n\r\n",
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1 ;a\r\nx\r\n0\r\n\r\n",
    ] {
        assert_ends(&format!("{LINE}{content}"));
        assert_ends(&format!("{LINE}{content}{LINE}{content}"));
    }
    assert_ends("GET http://a/ HTTP/1.0\r\n\r\n");
}

#[test]
fn a_request_is_not_at_its_end_before_the_last_byte() {
    for request in [
        format!("{LINE}Content-Length: 5\r\n\r\nhell"),
        format!("{LINE}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r"),
        format!("{LINE}Transfer-Encoding: chunked\r\n\r\n"),
    ] {
        assert!(
            !in_pieces(request.as_bytes(), 1).unwrap().0.is_between_requests(),
            "{request:?}"
        );
    }
}

#[test]
fn requests_with_two_possible_ends_are_refused() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "X: a\r\n folded\r\n",
        "X: a\rContent-Length: 5\r\n",
        "X: a\0b\r\n",
        "X\0: a\r\n",
        "Host: b\r\n",
    ] {
        assert_refused(&format!("{LINE}{fields}\r\n"));
    }
    assert_refused("POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_refused("GET http://a/ HTTP/1.1\r\n\r\n");
    assert_refused("GET  http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_refused("TRACE http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_refused("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
}

#[test]
fn chunks_that_are_not_what_they_say_are_refused() {
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(300));
    for chunks in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5\r5\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "0\r\n folded\r\n\r\n",
        "0\r\n\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX: y\n\n",
        "0\r\nX: y\r\n\n",
        "0\r\nX : y\r\n\r\n",
        &long,
    ] {
        assert_refused(&format!("{LINE}Transfer-Encoding: chunked\r\n\r\n{chunks}"));
    }
}

#[test]
fn what_grows_without_an_end_is_refused() {
    let pass = |text: String| Framing::default().pass(&mut text.into_bytes());
    let head = format!("{LINE}X: {}", "x".repeat(MAX_HEAD));
    assert_eq!(pass(head), Err(Violation::TooLarge));
    let many = format!("{LINE}{}\r\n", "X: y\r\n".repeat(MAX_FIELDS));
    assert_eq!(pass(many), Err(Violation::TooManyFields));
}

#[test]
fn what_follows_a_connect_is_not_looked_at() {
    let mut framing = Framing::default();
    let mut bytes = b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03\x01\0\0".to_vec();
    assert_eq!(framing.pass(&mut bytes).unwrap().written, bytes.len());
    assert_eq!(framing.pass(&mut b"\0\r\n".to_vec()).unwrap().written, 3);
}

#[test]
fn chunked_content_passes_in_its_plainest_form() {
    let chunked = format!("{LINE}Transfer-Encoding: chunked\r\n\r\n");
    let sent =
        format!("{chunked}005;x=\"y\"\r\nhello\r\n0A ;b\r\n0123456789\r\n000;last\r\nX:  y \r\nZ:\r\n\r\n");
    let plain = format!("{chunked}5\r\nhello\r\na\r\n0123456789\r\n0\r\nX:y\r\nZ:\r\n\r\n");
    for size in [1, 2, 3, 7, sent.len()] {
        let (framing, passed) = in_pieces(sent.as_bytes(), size).unwrap();
        assert_eq!(String::from_utf8_lossy(&passed), plain, "in pieces of {size}");
        assert_eq!(in_pieces(&passed, size).unwrap().1, passed, "read again");
        assert!(framing.is_between_requests());
    }
}

#[test]
fn targets_that_are_no_urls_are_refused_with_a_reason() {
    let why = |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        match Framing::default().pass(&mut request.into_bytes()) {
            Err(Violation::Malformed(why)) => why,
            other => panic!("{target}: {other:?}"),
        }
    };
    for target in ["http://a/<", "http://a/`", "http://a/?\"", "http://a/?<b>"] {
        assert!(why(target).contains("percent-encoded"), "{target}");
    }
    assert_eq!(why("http://[::1"), "the request target is not a URL");
}

#[test]
fn behind_a_request_for_websocket_nothing_passes_until_it_is_declined() {
    let head =
        "GET http://a/ HTTP/1.1\r\nHost: a\r\nUpgrade: h3, WebSocket\r\nConnection: x, Upgrade\r\n\r\n";
    let mut bytes = format!("{head}{LINE}\r\n").into_bytes();
    let mut framing = Framing::default();
    assert_eq!(framing.pass(&mut bytes).unwrap().read, head.len());
    assert!(framing.is_switching());
    assert_eq!(framing.pass(&mut bytes[head.len()..]).unwrap(), Passed::default());
    framing.decline_switch();
    assert_eq!(
        framing.pass(&mut bytes[head.len()..]).unwrap().written,
        LINE.len() + 2
    );
    for other in [
        "Upgrade: h2c\r\nConnection: upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 5\r\n",
    ] {
        let request = format!("GET http://a/ HTTP/1.1\r\nHost: a\r\n{other}\r\n");
        framing = Framing::default();
        framing.pass(&mut request.into_bytes()).unwrap();
        assert!(!framing.is_switching(), "{other}");
    }
}

/// Numbers that are the same in each run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Everything that passes, and whether it ends with a violation.
fn passes(bytes: &[u8], size: usize) -> (Vec<u8>, bool) {
    let mut framing = Framing::default();
    let (mut shown, mut passed) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        shown.extend_from_slice(piece);
        loop {
            match framing.pass(&mut shown) {
                Ok(Passed { read: 0, .. }) => break,
                Ok(Passed { read, written }) => {
                    passed.extend_from_slice(&shown[..written]);
                    shown.drain(..read);
                }
                Err(_) => return (passed, true),
            }
        }
    }
    (passed, false)
}

#[test]
fn what_passes_is_the_same_in_any_pieces_and_when_it_is_read_again() {
    let seeds = [
        format!(
            "{LINE}Transfer-Encoding: chunked\r\n\r\n05;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n{LINE}Content-Length: 2\r\n\r\nok"
        ),
        format!("\r\n{LINE}Upgrade: websocket\r\nConnection: upgrade\r\n\r\n{LINE}\r\n"),
        format!("{LINE}\r\nCONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03\x01"),
    ];
    let words: [&[u8]; 9] = [
        b"\n",
        b"\r",
        b"\r\n",
        b"0",
        b";",
        b":",
        b" ",
        b"Content-Length: 3\r\n",
        b"\r\n\r\n",
    ];
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for round in 0..20_000 {
        let mut bytes = seeds[round % seeds.len()].clone().into_bytes();
        for _ in 0..=numbers.below(3) {
            let (at, word) = (numbers.below(bytes.len()), words[numbers.below(words.len())]);
            let end = bytes.len().min(at + numbers.below(3));
            bytes.splice(at..end, word.iter().copied());
        }
        let (whole, failed) = passes(&bytes, bytes.len());
        assert!(whole.len() <= bytes.len());
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(
            passes(&whole, whole.len().max(1)).0,
            whole,
            "read again: {text:?}"
        );
        for size in [1, 3, 16] {
            assert_eq!(
                passes(&bytes, size),
                (whole.clone(), failed),
                "pieces of {size}: {text:?}"
            );
        }
    }
}
