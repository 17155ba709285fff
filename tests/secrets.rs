//! Passwords and tokens: who looks at processes, messages and logs finds none.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{V6KIT, in_namespace, v6kit};

const SECRET: &str = "S3CRET";

/// The words of a process, as `ps` reads them.
#[track_caller]
fn command_line(process: &Child) -> String {
    let bytes = std::fs::read(format!("/proc/{}/cmdline", process.id())).unwrap();
    let words: Vec<_> = bytes
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    words.join(" ")
}

/// Starts `v6kit crawl` of one item of `listener` with `options`, until it has sent its request; its words then, and the
/// request.
#[track_caller]
fn while_asking(scratch: &Path, listener: &TcpListener, options: &[&str]) -> (String, String) {
    let at = listener.local_addr().unwrap();
    let options = options
        .iter()
        .map(|option| option.replace("PROXY", &at.to_string()));
    let mut crawl = Command::new(V6KIT)
        .args([
            "crawl",
            &format!("http://{at}/"),
            "--robots",
            "ignore",
            "-r",
            "max",
            "-o",
        ])
        .arg(scratch)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut head = String::new();
    let mut lines = BufReader::new(&stream);
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(lines.read_line(&mut head).unwrap(), 0, "no request: {head}");
    }
    let words = command_line(&crawl);
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    (&stream).write_all(body.as_bytes()).unwrap();
    assert!(crawl.wait().unwrap().success(), "{words}");
    (words, head)
}

#[test]
fn a_secret_of_a_command_line_is_sent_and_not_shown_to_who_looks_at_processes() {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    // base64 of alice:S3CRET
    const BASIC: &str = "Basic YWxpY2U6UzNDUkVU";
    for (options, sent, shown) in [
        (&["-u", "alice:S3CRET"][..], BASIC, "-u alice:******"),
        (&["-qualice:S3CRET"], BASIC, "-qualice:******"),
        (&["--user=alice:S3CRET"], BASIC, "--user=alice:******"),
        (&["-u", "alice", "--password", SECRET], BASIC, "--password ******"),
        (
            &["-H", "Authorization: Digest S3CRET"],
            "Digest S3CRET",
            "-H Authorization: *************",
        ),
        (&["-HX-Vault-Token: S3CRET"], SECRET, "-HX-Vault-Token: ******"),
        (
            &["-x", "http://alice:S3CRET@PROXY"],
            BASIC,
            "-x http://alice:******@[",
        ),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let (words, head) = while_asking(&scratch.path().join("job"), &listener, options);
        assert!(head.contains(sent), "{options:?}: {head}");
        assert!(
            words.contains(shown) && !words.contains(SECRET),
            "{options:?}: {words}"
        );
        let status = v6kit(&["crawl", "status", scratch.path().join("job").to_str().unwrap()]).expect(0);
        assert!(!status.stdout.contains(SECRET), "{status}");
    }
}

#[test]
fn the_password_of_a_proxy_is_wanted_from_clients_and_not_shown_to_who_looks_at_processes() {
    let mut proxy = Command::new(V6KIT)
        .args(["proxy", "--listen", "[::1]:0", "--auth", "alice:S3CRET", "--json"])
        .args(["--allow-destination", "::1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(proxy.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let words = command_line(&proxy);
    let started: serde_json::Value =
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let at = started["listening"][0].as_str().unwrap();
    let answer = |credentials: &str| {
        let mut client = std::net::TcpStream::connect(at).unwrap();
        write!(client, "CONNECT [::1]:1 HTTP/1.1\r\n{credentials}\r\n").unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).unwrap();
        String::from_utf8_lossy(&status).into_owned()
    };
    let (without, with) = (
        answer(""),
        answer("Proxy-Authorization: Basic YWxpY2U6UzNDUkVU\r\n"),
    );
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    assert!(
        words.contains("--auth alice:******") && !words.contains(SECRET),
        "{words}"
    );
    assert!(
        without.ends_with("407") && !with.ends_with("407"),
        "{without} {with}"
    );
}

#[test]
fn a_command_line_that_cannot_be_overwritten_is_told() {
    let run = in_namespace(
        r#"
        mount -t tmpfs tmpfs /proc
        started() { "$V6KIT" crawl 'http://[::1]:1/' -o /dev/null/job "$@" || [ $? = 2 ]; }
        started -u alice --password '' 2>"$T/without"
        started -u alice:S3CRET
        if grep overwritten "$T/without" >&2; then exit 1; fi
        "#,
    )
    .expect(0);
    assert!(
        run.stderr.contains("warning: ")
            && run
                .stderr
                .contains("on this command line, which cannot be overwritten"),
        "{run}"
    );
    assert!(!run.stderr.contains(SECRET), "{run}");
}

#[test]
fn a_secret_that_is_refused_is_not_repeated() {
    let scratch = tempfile::tempdir().unwrap();
    let job = scratch.path().join("job.toml");
    let file = job.to_str().unwrap();
    let refused = |words: &[&str]| {
        let run = v6kit(words).expect(2);
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains(SECRET) && !text.contains("CRET@"), "{run}");
        }
    };
    for words in [
        &["crawl", "http://alice:S3CRET@[::1]/", "-o", "x"][..],
        &["crawl", "http://alice:x/S3CRET@[::1]/", "-o", "x", "--json"],
        &[
            "crawl",
            "http://[::1]/",
            "-o",
            "x",
            "-x",
            "http://alice:S3CRET@h:bad",
        ],
        &[
            "crawl",
            "http://[::1]/",
            "-o",
            "x",
            "-H",
            "Authorization Bearer S3CRET",
        ],
        &["crawl", "http://[::1]/", "-o", "x", "--usr=alice:S3CRET"],
        &["proxy", "--auth", SECRET],
        &["proxy", "--listen", "socks5://alice:S3CRET@[::1]:1"],
        &["verify", "--endpoint", "http://alice:S3CRET@[::1]:bad/"],
    ] {
        refused(words);
    }
    for line in [
        "user = ':S3CRET'",
        "proxy = 'ftp://alice:S3CRET@h'",
        "header = ['Cookie S3CRET']",
        "user = 'alice:S3CRET",
        "password = S3CRET",
    ] {
        std::fs::write(&job, format!("url = 'http://[::1]/'\noutput = 'x'\n{line}\n")).unwrap();
        refused(&["crawl", "--job", file]);
        refused(&["crawl", "--job", file, "--json"]);
    }
}
