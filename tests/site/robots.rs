//! robots.txt, as nginx serves it and as others read it.

use super::{on_loopback, records, scratch};
use crate::harness::repository;

/// RFC 9309 section 2.3.1.2: five redirects are followed at least, to other hosts too; more mean that there is no
/// robots.txt.
#[test]
fn redirects_of_robots_txt_are_followed_five_times() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        start_nginx '
            default_type text/plain;
            server { listen [::1]:8080; location = /robots.txt { return 301 http://[::1]:8084/5; } location / { return 200 "x"; } }
            server { listen [::1]:8081; location = /robots.txt { return 302 http://[::1]:8084/6; } location / { return 200 "x"; } }
            server { listen [::1]:8082; access_log '"$T"'/asked.log plain;
                location = /robots.txt { return 307 /robots.txt; } location / { return 200 "x"; } }
            server { listen [::1]:8083; location = /robots.txt { return 308 http://[::1]:9/; } location / { return 200 "x"; } }
            server { listen [::1]:8084;
                location = /1 { return 200 "User-agent: *\nDisallow: /private/\n"; }
                location = /2 { return 303 /1; } location = /3 { return 301 /2; } location = /4 { return 302 /3; }
                location = /5 { return 307 http://[::1]:8084/4; } location = /6 { return 308 /5; } }'
        for port in 8080 8081 8082 8083; do
            "$V6KIT" crawl "http://[::1]:$port/{public,private}/1" -o "$T/$port" --retries 0 --json >/dev/null 2>"$T/err" || true
        done
        "#,
    )
    .expect(0);
    let outcome = |port: &str| -> Vec<String> {
        let records = records(scratch.path(), port);
        let said = |record: &serde_json::Value| {
            let kind = record["error"]["kind"].as_str().or(record["outcome"].as_str());
            kind.expect("an outcome").to_owned()
        };
        records.iter().map(said).collect()
    };
    assert_eq!(outcome("8080"), ["ok", "robots"], "the fifth leads to the rules");
    assert_eq!(outcome("8081"), ["ok", "ok"], "the sixth is not followed");
    assert_eq!(outcome("8082"), ["ok", "ok"], "a loop");
    let asked = std::fs::read_to_string(scratch.path().join("asked.log")).expect("the log of nginx");
    let of_loop = asked
        .lines()
        .filter(|line| line.contains(" 307 /robots.txt"))
        .count();
    assert_eq!(of_loop, 6, "the first and five redirects: {asked}");
    assert_eq!(
        outcome("8083"),
        ["robots_unreachable", "robots_unreachable"],
        "rules that cannot be had forbid everything"
    );
}

#[test]
fn robots_txt_is_obeyed_unless_told_otherwise() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        start_nginx '
            server { listen [::1]:8080; default_type text/plain;
                location = /robots.txt { return 200 "User-agent: *\nDisallow: /private/\nCrawl-delay: 0.4\n"; }
                location / { return 200 "here"; } }
            server { listen [::1]:8081;
                location = /robots.txt { return 503; }
                location / { return 200 "here"; } }
            server { listen [::1]:8082;
                location = /robots.txt { return 404; }
                location / { return 200 "here"; } }'
        run() { "$V6KIT" crawl "$@" --json >/dev/null 2>"$T/err" || true; }
        run 'http://[::1]:8080/{public,private}/{1..4}' -o "$T/obeyed" --threads 2 -r max
        run 'http://[::1]:8080/{public,private}/{1..4}' -o "$T/ignored" --robots ignore -r max
        run 'http://[::1]:8081/{1..3}' -o "$T/unavailable"
        run 'http://[::1]:8082/{1..3}' -o "$T/none"
        "#,
    )
    .expect(0);
    let obeyed = records(scratch.path(), "obeyed");
    let (public, private) = obeyed.split_at(4);
    assert!(
        public.iter().all(|record| record["outcome"] == "ok"),
        "{public:?}"
    );
    assert!(
        private.iter().all(|record| record["error"]["kind"] == "robots"),
        "{private:?}"
    );
    let mut left: Vec<i64> = public
        .iter()
        .map(|record| {
            let at = record["at"]
                .as_str()
                .and_then(|at| at.parse::<jiff::Timestamp>().ok());
            at.expect("a time").as_millisecond()
        })
        .collect();
    left.sort_unstable();
    // Late timers are made up for by 50 ms at most.
    assert!(left.windows(2).all(|pair| pair[1] - pair[0] >= 340), "{left:?}");
    for (name, outcome) in [
        ("ignored", "ok"),
        ("none", "ok"),
        ("unavailable", "robots_unreachable"),
    ] {
        let records = records(scratch.path(), name);
        assert!(
            records
                .iter()
                .all(|record| record["outcome"] == outcome || record["error"]["kind"] == outcome),
            "{name}: {records:?}"
        );
    }
}

#[test]
fn hundreds_of_real_robots_txt_are_read_as_another_reader_does() {
    let scratch = scratch();
    let sdist = repository().join("target/python/sdists/protego-0.7.0.tar.gz");
    assert!(
        sdist.exists(),
        "{} is missing: run tests/install",
        sdist.display()
    );
    let run = on_loopback(
        scratch.path(),
        &format!(
            r#"
            mkdir "$T/sites"
            "$PYTHON" "$TESTS/site/robots_oracle.py" prepare '{}' 400 "$T/sites"
            cat "$T/sites/hosts" >> /etc/hosts
            start_nginx 'server {{ listen [::1]:8080 backlog=4096; keepalive_timeout 2s;
                location = /robots.txt {{ root $T/sites/robots/$host; default_type text/plain; }}
                location / {{ return 200 "here"; }} }}'
            sed 's|^\([^/]*\)|http://\1:8080|' "$T/sites/paths" > "$T/list"
            for agent in v6kit Googlebot; do
                "$V6KIT" crawl -i "$T/list" -o "$T/$agent" -A "$agent/1.0" -r max -c 50 --threads 1 \
                    --max-error-rate 100% -q 2>"$T/err" || true
                "$V6KIT" crawl cat "$T/$agent" |
                    "$PYTHON" "$TESTS/site/robots_oracle.py" compare "$T/sites" 8080 "$agent"
            done
            "#,
            sdist.display()
        )
        .replace("$T/sites/robots/$host", "'\"$T\"'/sites/robots/$host"),
    )
    .expect(0);
    for verdict in super::json_lines(&run.stdout) {
        assert_eq!(verdict["wrong"], serde_json::json!([]), "{run}");
        assert!(verdict["files"].as_u64() > Some(500), "{run}");
        assert!(verdict["refused"].as_u64() > Some(1000), "{run}");
        assert!(verdict["allowed"].as_u64() > Some(1000), "{run}");
    }
    assert_eq!(run.stdout.lines().count(), 2, "{run}");
}

/// RFC 9309 section 2.5: at least 500 KiB are read; what comes behind is not waited for.
#[test]
fn of_a_robots_txt_without_end_the_first_500_kib_count() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        coproc LONG { exec python3 "$TESTS/site/robots/long.py" promised chunked stalled unending packed; }
        read -r _ <&"${LONG[0]}"
        { printf 'User-agent: *\nDisallow: /private/\n'; head -c 20000000 < <(yes '# nothing is asked for here'); } >"$T/robots.txt"
        start_nginx '
            server { listen [::1]:8090 http2;
                location = /robots.txt { root '"$T"'; }
                location / { return 200 "here"; } }'
        run() { "$V6KIT" crawl "http://[::1]:$1/{public,private/1}" -o "$T/$1" -q "${@:2}" || true; }
        for port in 8080 8081 8082 8083 8084; do
            run $port --max-body 1k
        done
        run 8090 --http 2
        "#,
    )
    .expect(0);
    for port in ["8080", "8081", "8082", "8083", "8084", "8090"] {
        let records = records(scratch.path(), port);
        assert_eq!(records[0]["outcome"], "ok", "{port}: {}", records[0]);
        assert_eq!(records[1]["error"]["kind"], "robots", "{port}: {}", records[1]);
    }
}
