use std::io::{self, BufReader};
use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use rand_xoshiro::rand_core::SeedableRng;
use v6kit_model::{Answer, Headers};

use super::*;
use crate::record::Way;

fn headers(head: &str) -> Headers {
    Head::parse(head.as_bytes()).unwrap().into()
}

fn hop(url: &str, head: &str, body: &'static str) -> Hop {
    Hop {
        url: url.to_owned(),
        at: UNIX_EPOCH,
        peer: Some(Ipv6Addr::LOCALHOST),
        protocol: Protocol::Http1,
        answer: Answer {
            status: StatusCode::FOUND,
            headers: headers(head),
            body: body.into(),
            ..Answer::default()
        },
        is_cut: body == "moved",
        method: Method::POST,
        path: "/go?x=y".to_owned(),
        host: b"h:81".to_vec(),
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
    }
}

/// The records of WARC for an answer.
fn written(method: &Method, head: &str, body: &[u8], way: Way<'_>) -> String {
    let sent = HeaderMap::new();
    let came = headers(head);
    let record = Record {
        position: 7,
        id: None,
        url: "http://h/",
        status: StatusCode::from_bytes(&head.as_bytes()[9..12]).ok(),
        from: None,
        at: UNIX_EPOCH,
        took: Duration::ZERO,
        attempts: 1,
        timing: crate::record::Timing::default(),
        final_url: None,
        way,
        sent: Some(Sent {
            method,
            path: "/",
            host: b"h",
            headers: &sent,
            body: b"",
        }),
        answer: Some(Payload {
            headers: &came,
            body,
            portable: None,
        }),
        fault: None,
    };
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    WarcWriter::new(&Storage::default(), Xoshiro256PlusPlus::seed_from_u64(7))
        .write(&record, &mut out, &mut ends);
    assert_eq!(ends.last(), Some(&out.len()));
    for end in &ends[..ends.len() - 1] {
        assert!(out[*end..].starts_with(VERSION.as_bytes()));
    }
    String::from_utf8(out).unwrap()
}

/// The block of the first record.
fn block(records: &str) -> &str {
    let (_, rest) = records.split_once("\r\n\r\n").unwrap();
    let (block, _) = rest.split_once("\r\n\r\nWARC/1.1").unwrap();
    block
}

fn read(records: &str) -> io::Result<Vec<serde_json::Value>> {
    let mut records = BufReader::new(records.as_bytes());
    let (mut reader, mut lines) = (WarcReader::default(), Vec::new());
    while let Some(line) = reader.next(&mut records)? {
        lines.push(serde_json::from_slice(line).unwrap());
    }
    Ok(lines)
}

#[test]
fn an_answer_without_a_body_keeps_what_it_says_of_lengths() {
    for (method, head) in [
        (
            Method::HEAD,
            "HTTP/1.1 200 Fine\r\nContent-Length: 1234\r\nETag: 1\r\n\r\n",
        ),
        (
            Method::HEAD,
            "HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            Method::HEAD,
            "HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n",
        ),
        (
            Method::GET,
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n",
        ),
        (Method::GET, "HTTP/1.1 204 Nothing At All\r\nX-Last: z\r\n\r\n"),
    ] {
        let records = written(&method, head, b"", Way::default());
        assert_eq!(block(&records), head, "{method}");
        assert_eq!(read(&records).unwrap().len(), 1, "{method} {head}");
    }
}

#[test]
fn an_answer_with_a_body_says_how_long_that_is_and_the_rest_as_it_came() {
    let head = "HTTP/1.1 200 Fine, Indeed\r\nX-ID: 1\r\nTransfer-Encoding: chunked\r\nset-cookie: b\r\nX-Id: 2\r\n\r\n";
    let expected =
        "HTTP/1.1 200 Fine, Indeed\r\nX-ID: 1\r\nset-cookie: b\r\nX-Id: 2\r\nContent-Length: 4\r\n\r\nbody";
    let records = written(&Method::GET, head, b"body", Way::default());
    assert_eq!(block(&records), expected);
    assert_eq!(read(&records).unwrap()[0]["body"], "body");
    // Nothing came, and something could have.
    let records = written(&Method::GET, "HTTP/1.1 200 OK\r\n\r\n", b"", Way::default());
    assert_eq!(block(&records), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn a_coding_that_was_undone_is_no_longer_told() {
    let mut came = headers("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\nA: b\r\n\r\n");
    came.remove(&CONTENT_ENCODING);
    let mut writer = WarcWriter::new(&Storage::default(), Xoshiro256PlusPlus::seed_from_u64(7));
    let answer = Payload {
        headers: &came,
        body: b"plain",
        portable: None,
    };
    writer.put_response(StatusCode::OK, None, &answer);
    assert_eq!(
        writer.block,
        b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nplain"
    );
}

#[test]
fn a_password_in_a_location_is_not_stored() {
    let head = "HTTP/1.1 302 Found\r\nlocation: https://u:hunter2@[::1]/a@b\r\n\r\n";
    let records = written(&Method::GET, head, b"", Way::default());
    assert!(
        !records.contains("hunter2") && records.contains("location: https://[::1]/a@b\r\n"),
        "{records}"
    );
}

#[test]
fn answers_that_led_elsewhere_are_records_of_their_own_and_no_items() {
    let hops = [
        hop(
            "http://h:81/go?x=y",
            "HTTP/1.1 302 Off\r\nLocation: /a\r\n\r\n",
            "moved",
        ),
        hop(
            "https://[::1]/a",
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: /b\r\n\r\n",
            "",
        ),
    ];
    let way = Way {
        at: Some(UNIX_EPOCH + Duration::from_secs(1)),
        peer: Some("2001:db8::1".parse().unwrap()),
        protocol: Some(Protocol::Http2),
        hops: &hops,
    };
    let records = written(&Method::GET, "HTTP/1.1 200 OK\r\n\r\n", b"{}", way);
    let fields = |name: &str| -> Vec<String> {
        let lines = records.lines().filter_map(|line| line.strip_prefix(name));
        lines.map(ToOwned::to_owned).collect()
    };
    let of_each = |values: [&str; 3]| -> Vec<String> {
        values
            .iter()
            .flat_map(|value| [value.to_string(), value.to_string()])
            .collect()
    };
    assert_eq!(
        fields("WARC-Target-URI: "),
        of_each(["http://h:81/go?x=y", "https://[::1]/a", "http://h/"])
    );
    assert_eq!(
        fields("WARC-IP-Address: "),
        of_each(["::1", "::1", "2001:db8::1"])
    );
    assert_eq!(
        fields("WARC-Protocol: "),
        of_each(["http/1.1", "http/1.1", "h2c"])
    );
    assert_eq!(fields("Location: "), ["/a", "/b"]);
    assert_eq!(fields("WARC-Truncated: "), ["length"]);
    assert_eq!(fields("POST "), ["/go?x=y HTTP/1.1"; 2]);
    assert_eq!(fields("Host: "), ["h:81", "h:81", "h"]);
    assert!(records.contains("Location: /a\r\nContent-Length: 5\r\n\r\nmoved\r\n\r\n"));
    let lines = read(&records).unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["pos"], 7);
    assert_eq!(
        lines[0]["at"], "1970-01-01T00:00:00.000Z",
        "when the attempt began"
    );
}

#[test]
fn a_record_names_the_warcinfo_record_of_its_file() {
    let mut out = Vec::new();
    push_with_info(b"WARC/1.1\r\nWARC-Type: metadata\r\n", "urn:x", &mut out);
    assert_eq!(
        out,
        b"WARC/1.1\r\nWARC-Warcinfo-ID: <urn:x>\r\nWARC-Type: metadata\r\n"
    );
    let info = String::from_utf8(info("urn:x", "000001.warc.gz")).unwrap();
    assert!(
        info.contains("WARC-Record-ID: <urn:x>\r\nWARC-Filename: 000001.warc.gz\r\n"),
        "{info}"
    );
    assert!(read(&info).unwrap().is_empty());
}

#[test]
fn a_length_that_is_damaged_is_an_error_and_asks_for_no_memory() {
    let records = written(&Method::GET, "HTTP/1.1 200 OK\r\n\r\n", b"{}", Way::default());
    let length = records
        .lines()
        .find(|line| line.starts_with("Content-Length"))
        .unwrap();
    for damaged in [
        "9223372036854775807",
        "18446744073709551615",
        "100000",
        "1",
        "0",
        "-1",
        "",
    ] {
        let damaged = format!("Content-Length: {damaged}");
        let error = read(&records.replacen(length, &damaged, 1)).expect_err(&damaged);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{damaged}: {error}");
    }
    let cut = &records[..records.find("Content-Type").unwrap()];
    assert_eq!(read(cut).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn an_answer_with_very_many_fields_is_read_again() {
    let mut head = "HTTP/1.1 200 OK\r\n".to_owned();
    (0..2000).for_each(|n| head.push_str(&format!("X-{n}: {n}\r\n")));
    head.push_str("\r\n");
    assert_eq!(
        read(&written(&Method::GET, &head, b"{}", Way::default()))
            .unwrap()
            .len(),
        1
    );
}
