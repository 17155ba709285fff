//! Exchanges over a transport in memory: whatever a server says, and in whatever pieces, one request gets its own
//! answer or none.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod script;

use std::io;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use script::{End, Script, Step, ask, ask_for, connection, end_of, go_on};
use v6kit_http1::{Block, Coding, Error, Limit, Part, Request, Standing};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn whole(status: u16, body: &str, is_open: bool) -> End {
    End::Whole(status, body.into(), is_open, false)
}

/// `text` said in two segments cut at each of its places, in segments of one byte, and in one piece, each with `end` behind it:
/// all have the same end.
#[track_caller]
fn ask_in_all_pieces(method: &str, text: &str, end: Option<&Step>) -> End {
    let said = |pieces: Vec<&[u8]>| {
        let steps = pieces.into_iter().filter(|piece| !piece.is_empty());
        let steps = steps.map(|piece| Step::Says(piece.to_vec())).chain(end.cloned());
        ask(method, Script::new(steps))
    };
    let bytes = text.as_bytes();
    let expected = said(vec![bytes]);
    for cut in 1..bytes.len() {
        assert_eq!(
            said(vec![&bytes[..cut], &bytes[cut..]]),
            expected,
            "{text:?} cut at {cut}"
        );
    }
    assert_eq!(said(bytes.chunks(1).collect()), expected, "{text:?} byte by byte");
    expected
}

#[test]
fn an_answer_is_the_same_however_it_is_cut() {
    for (method, text, end) in [
        ("GET", OK.to_owned(), whole(200, "hello", true)),
        ("GET", OK.replace("\r\n", "\n"), whole(200, "hello", true)),
        ("GET", OK.replace("5", "5\r\nConnection: close"), whole(200, "hello", false)),
        ("GET", OK.replace("1.1", "1.0"), whole(200, "hello", false)),
        ("GET", OK.replace("HTTP/1.1", "HTTP/2"), whole(200, "hello", false)),
        ("GET", format!("\r\n{OK}"), whole(200, "hello", false)),
        ("GET", format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n"), whole(200, "hello", true)),
        ("GET", format!("{CHUNKED}2;a=b\r\nhe\r\n03\r\nllo\r\n0\r\nX: y\r\n\r\n"), whole(200, "hello", true)),
        (
            "GET",
            format!("HTTP/1.1 103 Early\r\nLink: </a>\r\nContent-Length: 9\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n{OK}"),
            whole(200, "hello", true),
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n".to_owned(), whole(204, "", true)),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_owned(), whole(304, "", true)),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), whole(200, "", true)),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_owned(), whole(200, "", true)),
        ("HEAD", CHUNKED.to_owned(), whole(200, "", true)),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
            whole(200, "hello", false),
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nTransfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
            whole(200, "hello", false),
        ),
        ("GET", "HTTP/1.1 426 Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello".to_owned(), whole(426, "hello", true)),
    ] {
        assert_eq!(ask_in_all_pieces(method, &text, None), end, "{text:?}");
        // Whatever comes of the connection then, the answer is whole.
        for then in [Step::Ends, Step::Cuts, Step::Resets] {
            assert_eq!(ask_in_all_pieces(method, &text, Some(&then)), end, "{text:?} {then:?}");
        }
    }
}

#[test]
fn memory_is_asked_for_as_content_comes_and_not_as_it_is_promised() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9900000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n970000\r\n",
    ] {
        for (came, most) in [(1, 16 << 10), (100_000, 1 << 18)] {
            let said = [head.as_bytes(), &vec![b'x'; came]].concat();
            let mut connection = connection(Script::new([Step::Says(said)]));
            let request = Request {
                method: "GET",
                target: "/",
                host: b"h",
                fields: &Block::new(),
                more: None,
                body: &Bytes::new(),
            };
            connection.begin(&request, 16 << 20).unwrap();
            let mut asked = 0;
            let mut room = |_: &mut Context<'_>, bytes: usize| {
                asked = asked.max(bytes);
                Poll::Ready(())
            };
            let mut cx = Context::from_waker(Waker::noop());
            while !connection.transport().is_over() {
                assert!(connection.poll_answer_within(&mut cx, &mut room).is_pending());
            }
            assert!(connection.poll_answer_within(&mut cx, &mut room).is_pending());
            assert!((1..=most).contains(&asked), "{came}: {asked}");
        }
    }
}

#[test]
fn of_a_body_that_goes_on_the_first_bytes_are_an_answer() {
    for (head, body, is_open) in [
        ("Content-Length: 9\r\n", "hello", false),
        ("Content-Length: 5\r\n", "hello", true),
        ("Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n4\r\nlo t", false),
        ("Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n0\r\n\r\n", true),
        ("Connection: close\r\n", "hello there", false),
    ] {
        let said = format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}").into_bytes();
        let mut connection = connection(Script::new([Step::Says(said)]));
        let request = Request {
            method: "GET",
            target: "/",
            host: b"h",
            fields: &Block::new(),
            more: None,
            body: &Bytes::new(),
        };
        connection.begin(&request, Limit::First(5)).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let answer = loop {
            if let Poll::Ready(answer) = connection.poll_answer(&mut cx) {
                break answer.unwrap();
            }
            assert!(!connection.transport().is_over(), "{head}{body}");
        };
        assert!(
            b"hello".starts_with(&answer.body) && answer.body.len() >= 3,
            "{head}"
        );
        assert_eq!(
            (connection.is_open(), answer.is_doubtful),
            (is_open, false),
            "{head}"
        );
    }
}

#[test]
fn a_body_without_a_length_lasts_until_the_orderly_end() {
    let text = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nhello";
    assert_eq!(
        ask_in_all_pieces("GET", text, Some(&Step::Ends)),
        whole(200, "hello", false)
    );
    assert_eq!(ask_in_all_pieces("GET", text, None), End::Waits);
    assert_eq!(
        ask_in_all_pieces("GET", text, Some(&Step::Cuts)),
        End::Failed("Incomplete(Body)".to_owned())
    );
    assert!(ask_in_all_pieces("GET", text, Some(&Step::Resets)).is_failed());
}

#[test]
fn what_is_cut_off_is_never_whole() {
    let texts = [
        OK.to_owned(),
        format!("{CHUNKED}5\r\nhello\r\n0\r\nX: y\r\n\r\n"),
        format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"),
    ];
    for text in texts {
        for cut in 0..text.len() {
            for end in [Step::Ends, Step::Cuts, Step::Resets] {
                let said = (cut > 0).then(|| Step::Says(text.as_bytes()[..cut].to_vec()));
                let mut connection = connection(Script::new(said.into_iter().chain([end.clone()])));
                let error = ask_for(&mut connection, "GET", &Bytes::new()).unwrap_err();
                let fits = matches!(
                    (&error, cut, &end),
                    (Error::Closed, 0, Step::Ends | Step::Cuts)
                        | (Error::Broken(_), 0, Step::Resets)
                        | (Error::Incomplete(_), 1.., Step::Ends | Step::Cuts)
                        | (Error::Torn(..), 1.., Step::Resets)
                );
                assert!(fits, "{text:?} cut at {cut} by {end:?}: {error:?}");
                assert!(!connection.is_open());
            }
        }
    }
}

#[test]
fn faults_of_the_framing_are_told_at_once_and_end_the_connection() {
    for text in [
        "SSH-2.0-x\r\n".to_owned(),
        "HTTP/1.1 2x0 OK\r\n\r\n".to_owned(),
        OK.replace('5', "+5"),
        OK.replace('5', "5, 6"),
        OK.replace("5\r\n", "5\r\nContent-Length: 3\r\n"),
        OK.replace("5\r\n", "5\r\nTransfer-Encoding: chunked\x01\r\n"),
        OK.replace("5\r\n", "5\r\nTransfer\0Encoding: chunked\r\n"),
        CHUNKED.replace("chunked", "chunked, x"),
        CHUNKED.replace("chunked", "xchunked"),
        format!("{CHUNKED}\r\n"),
        format!("{CHUNKED};a\r\n"),
        format!("{CHUNKED}5\r\nhello\r\n\r\n"),
        format!("{CHUNKED}5\r\nhelloX"),
        format!("{CHUNKED}FFFFFFFFFFFFFFFF\r\n"),
        format!("{CHUNKED}5;a=\nb\r\nhello\r\n0\r\n\r\n"),
        format!("{CHUNKED}F4241\r\n"),
        OK.replace('5', "1000001"),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
    ] {
        assert!(ask_in_all_pieces("GET", &text, None).is_failed(), "{text:?}");
    }
}

#[test]
fn bytes_behind_the_end_end_the_connection_and_leave_the_answer_in_doubt() {
    let empty = "HTTP/1.1 204 No Content\r\n\r\n".to_owned();
    for (method, text, body) in [
        ("GET", OK.to_owned(), "hello"),
        ("GET", format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n"), "hello"),
        ("GET", empty, ""),
        ("HEAD", OK.replace("hello", ""), ""),
    ] {
        for surplus in [OK, "\r\n", "\n", "x", "0\r\n\r\n", "HTTP/1.1 20"] {
            let answer = ask(method, Script::saying(format!("{text}{surplus}")));
            let End::Whole(_, found, is_open, is_doubtful) = answer else {
                panic!("{text:?} {answer:?}");
            };
            assert_eq!(
                (&found[..], is_open, is_doubtful),
                (body.as_bytes(), false, true),
                "{text:?} {surplus:?}"
            );
            // The same, said while the connection is idle.
            let mut connection = connection(Script::saying(&text));
            let first = ask_for(&mut connection, method, &Bytes::new());
            assert!(connection.is_open(), "{first:?}");
            assert_eq!(connection.look(), Standing::Ready);
            let mut again = script::connection(Script::new([
                Step::Says(text.clone().into()),
                Step::Says(surplus.into()),
            ]));
            let second = ask_for(&mut again, method, &Bytes::new());
            assert_eq!(end_of(&again, &second), end_of(&connection, &first));
            assert_eq!(
                (again.look(), again.is_open(), again.look()),
                (Standing::Doubtful, false, Standing::Ended)
            );
        }
    }
}

#[test]
fn what_is_larger_than_a_buffer_leaves_its_surplus_to_be_looked_for() {
    let body = "x".repeat(200_000);
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut connection = connection(Script::saying(format!("{text}{OK}")));
    let answer = ask_for(&mut connection, "GET", &Bytes::new()).unwrap().unwrap();
    assert_eq!((answer.body.len(), answer.is_doubtful), (body.len(), false));
    assert_eq!(connection.look(), Standing::Doubtful);
}

#[test]
fn an_idle_connection_that_has_ended_serves_nothing() {
    for end in [Step::Ends, Step::Cuts, Step::Resets] {
        let mut connection = connection(Script::new([Step::Says(OK.into()), end]));
        ask_for(&mut connection, "GET", &Bytes::new()).unwrap();
        assert!(connection.is_open());
        assert_eq!(
            (connection.look(), connection.is_open()),
            (Standing::Ended, false)
        );
    }
}

#[test]
fn many_requests_are_answered_one_after_another() {
    let mut connection = connection(Script::new((0..100).map(|_| Step::Says(OK.into()))));
    for served in 1..=100 {
        let answer = ask_for(&mut connection, "GET", &Bytes::new()).unwrap().unwrap();
        assert_eq!((&answer.body[..], connection.served()), (&b"hello"[..], served));
    }
    let transport = connection.transport();
    assert_eq!(transport.writes.len(), 100, "one write for each request");
}

#[test]
fn the_answer_is_read_while_the_request_is_written() {
    let body = Bytes::from(vec![b'x'; 1_000_000]);
    let refused = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello";
    for (takes, refuses, is_open) in [
        (usize::MAX, None, true),
        (100_000, None, false),
        (100, None, false),
        (100_000, Some(io::ErrorKind::BrokenPipe), false),
        (0, Some(io::ErrorKind::ConnectionReset), false),
    ] {
        let mut script = Script::saying(refused);
        (script.takes, script.refuses) = (takes, refuses);
        let mut connection = connection(script);
        let answer = ask_for(&mut connection, "POST", &body);
        assert_eq!(
            end_of(&connection, &answer),
            whole(413, "hello", is_open),
            "{takes} {refuses:?}"
        );
    }
    let mut script = Script::new([Step::Ends]);
    (script.takes, script.refuses) = (100, Some(io::ErrorKind::BrokenPipe));
    let mut connection = connection(script);
    let error = ask_for(&mut connection, "POST", &body).unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    assert!(connection.has_sent());
}

#[test]
fn a_request_that_waits_for_room_goes_on_when_there_is_some() {
    let body = Bytes::from(vec![b'x'; 100_000]);
    let mut script = Script::new([]);
    script.takes = 50_000;
    let mut connection = connection(script);
    assert!(ask_for(&mut connection, "PUT", &body).unwrap().is_none());
    assert!(!connection.is_open());
    connection.transport_mut().takes = usize::MAX;
    assert!(go_on(&mut connection).unwrap().is_none());
    assert_eq!(
        connection
            .transport()
            .written
            .iter()
            .filter(|byte| **byte == b'x')
            .count(),
        100_000
    );
    connection.transport_mut().then(Step::Says(OK.into()));
    assert_eq!(go_on(&mut connection).unwrap().unwrap().body, "hello");
    assert!(connection.is_open());
}

#[test]
fn interim_answers_have_an_end() {
    let early = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(1000));
    assert_eq!(
        ask("GET", Script::saying(format!("{}{OK}", early.repeat(100)))),
        whole(200, "hello", true)
    );
    let End::Failed(error) = ask("GET", Script::saying(format!("{}{OK}", early.repeat(1000)))) else {
        panic!("it went on");
    };
    assert!(error.contains("InterimTooLarge"), "{error}");
}

#[test]
fn a_flood_lets_the_caller_look_at_its_deadline() {
    // The first poll returns before a gigabyte was read.
    let mut script = Script::new([]);
    for _ in 0..1000 {
        script.then(Step::Says(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()));
    }
    let mut connection = connection(script);
    assert!(ask_for(&mut connection, "GET", &Bytes::new()).unwrap().is_none());
    assert!(connection.status().is_none());
}

#[test]
fn a_large_head_is_read_once() {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{}Content-Length: 5\r\n\r\nhello",
        "X-Key: value\r\n".repeat(15_000)
    );
    let pieces = head.as_bytes().chunks(7).map(|piece| Step::Says(piece.to_vec()));
    let mut connection = connection(Script::new(pieces));
    let answer = ask_for(&mut connection, "GET", &Bytes::new()).unwrap().unwrap();
    assert_eq!(answer.head.fields().count(), 15_001);
    assert!(connection.is_open());
}

#[test]
fn the_head_is_kept_as_it_came() {
    let head = "HTTP/1.1 200 Fine\r\nx-A : b\r\nX-B: c\r\n d\r\nContent-Length: 5\r\n\r\n";
    let answer = ask_for(
        &mut connection(Script::saying(format!("{head}hello"))),
        "GET",
        &Bytes::new(),
    );
    let answer = answer.unwrap().unwrap();
    assert_eq!(answer.head.raw(), head);
    let fields: Vec<_> = answer.head.fields().collect();
    assert_eq!(
        fields,
        [("x-A", &b"b"[..]), ("X-B", b"c d"), ("Content-Length", b"5")]
    );
}

#[test]
fn codings_below_the_chunks_are_told() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let mut connection = connection(Script::saying(text));
    let answer = ask_for(&mut connection, "GET", &Bytes::new()).unwrap().unwrap();
    assert_eq!(answer.codings, [Coding::Gzip]);
    assert!(!connection.is_open());
}

#[test]
fn behind_the_answer_to_connect_there_is_something_else() {
    let mut tunnel = connection(Script::saying(
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n\x16\x03\x01",
    ));
    let answer = ask_for(&mut tunnel, "CONNECT", &Bytes::new()).unwrap().unwrap();
    assert!(answer.body.is_empty() && !tunnel.is_open());
    assert_eq!(&tunnel.into_parts().1[..], b"\x16\x03\x01");
    let mut refused = connection(Script::saying(OK.replace("200", "502")));
    let answer = ask_for(&mut refused, "CONNECT", &Bytes::new()).unwrap().unwrap();
    assert_eq!((answer.head.status(), refused.is_open()), (502, false));
}

#[test]
fn an_exchange_that_was_given_up_leaves_no_open_connection() {
    let mut connection = connection(Script::saying(&OK[..20]));
    assert!(ask_for(&mut connection, "GET", &Bytes::new()).unwrap().is_none());
    assert!(!connection.is_open());
    assert_eq!(connection.look(), Standing::Ended);
}

#[test]
fn the_status_is_known_where_the_body_is_not() {
    let mut cut = connection(Script::new([
        Step::Says(OK.replace("200", "500")[..40].into()),
        Step::Ends,
    ]));
    let error = ask_for(&mut cut, "GET", &Bytes::new()).unwrap_err();
    assert!(matches!(error, Error::Incomplete(Part::Body)), "{error:?}");
    assert_eq!(cut.status(), Some(500));
    let mut bad = connection(Script::saying(OK.replace('5', "x")));
    ask_for(&mut bad, "GET", &Bytes::new()).unwrap_err();
    assert_eq!(bad.status(), Some(200));
}
