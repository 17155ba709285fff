//! The server that tells callers their address, asked by curl.

use crate::harness::{V6KIT, in_namespace, run, v6kit};

/// Starts `v6kit echo --json` with these arguments and runs `script` with `$port` and `$pid` set once
/// it listens. Afterwards the server must end on SIGTERM with exit 0.
fn with_echo(arguments: &str, script: &str) -> crate::harness::Run {
    in_namespace(&format!(
        r#"
        coproc SERVER {{ exec "$V6KIT" echo --json {arguments}; }}
        pid=$SERVER_PID
        read -r started <&"${{SERVER[0]}}"
        port=$(sed -E 's/.*"listening":\["[^"]*:([0-9]+)".*/\1/' <<<"$started")
        {script}
        kill -TERM $pid
        wait $pid
        "#
    ))
}

#[test]
fn a_caller_is_told_its_address_as_text_or_as_json() {
    let run = with_echo(
        "--listen [::]:0",
        r#"
        ip address add 2001:db8::7/128 dev lo nodad
        curl -sS --interface 2001:db8::7 "http://[::1]:$port/"
        curl -sS -H 'Accept: application/json' "http://[::1]:$port/"
        curl -sS "http://127.0.0.1:$port/?x=1"
        "#,
    )
    .expect(0);
    assert_eq!(
        run.stdout, "2001:db8::7\n{\"address\":\"::1\"}\n127.0.0.1\n",
        "{run}"
    );
}

#[test]
fn items_are_json_documents_that_depend_on_nothing_but_their_id() {
    let run = with_echo(
        "--listen [::1]:0",
        r#"
        curl -sS "http://[::1]:$port/items/7" -w '\n%{content_type} %{http_code}\n'
        curl -sS --http2-prior-knowledge "http://[::1]:$port/items/7" -w '\n%{http_version}\n'
        "#,
    )
    .expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let document: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(document["id"], 7);
    assert_eq!(lines[1], "application/json 200");
    assert_eq!(lines[2], lines[0]);
    assert_eq!(lines[3], "2");
}

#[test]
fn other_paths_and_methods_are_refused_and_head_has_no_body() {
    let run = with_echo(
        "--listen [::1]:0",
        r#"
        for path in /nothing /items/ /items/1/2; do
            curl -sS "http://[::1]:$port$path" -w ' %{http_code}\n'
        done
        curl -sS -d x "http://[::1]:$port/" -w ' %{http_code} %header{allow}\n'
        curl -sS -I "http://[::1]:$port/items/7" -o "$T/head" -w '%{http_code} %{size_download} %header{content-length}\n'
        curl -sS -I --http2-prior-knowledge "http://[::1]:$port/items/7" -o "$T/head" -w '%{http_code} %{size_download} %header{content-length}\n'
        curl -sS "http://[::1]:$port/items/7" | wc -c
        curl -sS "http://[::1]:$port/healthz"
        # 431, unless the connection is gone before curl has read it.
        curl -sS -H "X: $(head -c 20000 /dev/zero | tr '\0' x)" "http://[::1]:$port/" -o "$T/large" -w '%{http_code}\n' || true
        curl -sS "http://[::1]:$port/healthz"
        "#,
    )
    .expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[..3], ["{\"error\":\"Not Found\"} 404"; 3], "{run}");
    assert_eq!(
        lines[3], "{\"error\":\"Method Not Allowed\"} 405 GET, HEAD",
        "{run}"
    );
    let length = lines[6];
    assert_eq!(lines[4], format!("200 0 {length}"), "{run}");
    assert_eq!(lines[5], format!("200 0 {length}"), "{run}");
    assert_eq!(lines[7], "ok", "{run}");
    assert!(["431", "000"].contains(&lines[8]), "{run}");
    assert_eq!(lines[9], "ok", "{run}");
}

#[test]
fn a_caller_over_the_limit_is_refused_in_each_of_the_ways() {
    for (answer, code, expected) in [
        ("429", "429", "Too Many Requests"),
        ("403", "403", "Forbidden"),
        ("412", "412", "Precondition Failed"),
        ("captcha", "200", "captcha"),
    ] {
        let run = with_echo(
            &format!("--listen [::1]:0 --limit 2/1h --limit-answer {answer}"),
            r#"
            for n in 1 2 3; do
                curl -sS "http://[::1]:$port/items/1" -o "$T/body" -w '%{http_code} %header{retry-after}\n'
            done
            cat "$T/body"; echo
            curl -sS "http://[::1]:$port/healthz"
            "#,
        )
        .expect(0);
        let lines: Vec<&str> = run.stdout.lines().collect();
        assert_eq!(lines[..2], ["200 "; 2], "{run}");
        let (refused_with, retry_after) = lines[2].split_once(' ').unwrap();
        assert_eq!(refused_with, code, "{run}");
        if answer == "429" {
            let seconds: u32 = retry_after.parse().unwrap();
            assert!((1..=3600).contains(&seconds), "{run}");
        } else {
            assert_eq!(retry_after, "", "{run}");
        }
        assert!(lines[3..].concat().contains(expected), "{run}");
        assert_eq!(lines.last(), Some(&"ok"), "{run}");
    }
}

#[test]
fn the_scope_of_a_limit_says_which_callers_count_together() {
    for (scope, codes) in [
        ("128", "200 200 200 200"),
        ("64", "200 429 200 200"),
        ("48", "200 429 429 200"),
    ] {
        let run = with_echo(
            &format!("--listen [::]:0 --limit 1/1h --limit-scope {scope}"),
            r#"
            for caller in 2001:db8:1::1 2001:db8:1::2 2001:db8:1:2::1 2001:db8:2::1; do
                ip address add $caller/128 dev lo nodad
                curl -sS --interface $caller "http://[::1]:$port/" -o "$T/body" -w '%{http_code}\n'
            done
            "#,
        )
        .expect(0);
        assert_eq!(
            run.stdout.split_whitespace().collect::<Vec<_>>().join(" "),
            codes,
            "scope {scope}: {run}"
        );
    }
}

#[test]
fn tls_speaks_http_2_and_the_self_signed_certificate_can_be_trusted() {
    let run = with_echo(
        "--listen [::1]:0 --tls self-signed",
        r#"
        sed -E 's/.*"certificate":"([^"]*)".*/\1/; s/\\n/\n/g' <<<"$started" > "$T/ca.pem"
        curl -sS --cacert "$T/ca.pem" "https://[::1]:$port/" -w '%{http_version}\n'
        curl -sS --cacert "$T/ca.pem" --http1.1 "https://localhost:$port/" -w '%{http_version}\n'
        code=0; curl -sS "https://[::1]:$port/" 2>/dev/null || code=$?
        echo $code
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "::1\n2\n::1\n1.1\n60\n", "{run}");
}

#[test]
fn a_certificate_and_its_key_can_be_given_as_files() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name).display().to_string();
    run(std::process::Command::new("openssl").args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=practice",
        "-addext",
        "subjectAltName=IP:::1",
        "-keyout",
        &path("key"),
        "-out",
        &path("cert"),
    ]))
    .expect(0);
    let served = with_echo(
        &format!("--listen [::1]:0 --cert {} --key {}", path("cert"), path("key")),
        &format!(r#"curl -sS --cacert {} "https://[::1]:$port/""#, path("cert")),
    )
    .expect(0);
    assert_eq!(served.stdout, "::1\n", "{served}");
    for (cert, key, complaint) in [
        (path("none"), path("key"), "no usable certificate"),
        (path("key"), path("key"), "no usable certificate"),
        (path("cert"), path("cert"), "no usable private key"),
    ] {
        let run = v6kit(&["echo", "--listen", "[::1]:0", "--cert", &cert, "--key", &key]).expect(2);
        assert!(
            run.stderr.contains(complaint) && run.stderr.contains("hint:"),
            "{run}"
        );
    }
}

#[test]
fn an_address_in_use_is_explained() {
    let run = with_echo(
        "--listen [::1]:0 --threads 2",
        r#"code=0; "$V6KIT" echo --listen "[::1]:$port" --threads 2 || code=$?; echo $code"#,
    )
    .expect(0);
    assert_eq!(run.stdout, "1\n", "{run}");
    assert!(run.stderr.contains("is in use\nhint:"), "{run}");
}

#[test]
fn a_low_port_without_the_capability_exits_4_and_names_it() {
    let run = in_namespace(
        r#"
        exec setpriv --bounding-set=-all --inh-caps=-all "$V6KIT" echo --listen [::1]:80
        "#,
    )
    .expect(4);
    assert!(run.stderr.contains("CAP_NET_BIND_SERVICE"), "{run}");
}

#[test]
fn interrupting_the_server_ends_it_with_0_while_callers_are_connected() {
    let run = in_namespace(
        r#"
        set -m  # so that the server does not ignore SIGINT
        coproc SERVER { exec "$V6KIT" echo --listen [::1]:8080; }
        pid=$SERVER_PID
        read -r line <&"${SERVER[0]}"
        echo "$line"
        exec 7<>/dev/tcp/::1/8080
        printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&7
        read -r status <&7
        echo "$status"
        exec 8<>/dev/tcp/::1/8080
        kill -INT $pid
        wait $pid
        "#,
    )
    .expect(0);
    assert_eq!(
        run.stdout, "listening on http://[::1]:8080/\nHTTP/1.1 200 OK\r\n",
        "{run}"
    );
}

#[test]
fn wrong_usage_of_echo_is_explained_and_exits_2() {
    for arguments in [
        &["--listen", "::1"][..],
        &["--listen", "[2001:db8::1]:0"],
        &["--limit", "100"],
        &["--limit", "0/10s"],
        &["--cert", "x"],
        &["--limit-scope", "64"],
        &["--limit", "1/s", "--limit-scope", "65"],
    ] {
        let run = run(std::process::Command::new(V6KIT).arg("echo").args(arguments)).expect(2);
        let starts: Vec<&str> = run
            .stderr
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(starts, ["error:", "why:", "hint:"], "{run}");
    }
}
