//! Names: DNS with its times, hosts(5), `--resolve`, several addresses, and name servers that are no help.

use super::Scene;

/// A web server on all addresses that says on which it was reached, over a new connection every time.
const WHERE: &str = r#"
    nginx_with 8080 <<<'keepalive_timeout 0; server { listen [fd00::2]:8080; listen [fd00::3]:8080; return 200 "$server_addr"; }'
"#;

#[test]
fn a_name_that_moves_is_followed_once_its_time_is_over() {
    let scene = Scene::play(&format!(
        r#"{WHERE}
        name_server
        echo "fd00::2 moving.test" >"$T/names"
        # In debug mode, or it would give up privileges that it does not have.
        dnsmasq --no-daemon --listen-address=127.0.0.1 --bind-interfaces --no-resolv --no-hosts \
            --addn-hosts="$T/names" --local-ttl=1 2>/dev/null &
        server=$!
        listening 53
        asked() {{ [ "$(wc -l <"$T/nginx/access.log")" -ge "$1" ]; }}
        ( eventually asked 40; echo "fd00::3 moving.test" >"$T/names"; kill -HUP $server ) &
        crawl job 'http://moving.test:8080/{{1..200}}' -r 40/s
        "#
    ));
    assert_eq!(scene.run.stdout, "job 0\n", "{}", scene.run);
    let bodies = scene.bodies("job");
    assert_eq!((bodies[0].as_str(), bodies[199].as_str()), ("fd00::2", "fd00::3"));
    let moved = bodies.iter().position(|body| body == "fd00::3").unwrap();
    assert!(
        bodies[moved + 20..].iter().all(|body| body == "fd00::3"),
        "{bodies:?}"
    );
}

#[test]
fn all_addresses_of_a_name_are_used_and_dead_ones_are_passed_over() {
    let scene = Scene::play(&format!(
        r#"{WHERE}
        # Refused on the first, and silence on the fourth.
        ip -6 addr add fd00::4/128 dev lo nodad
        nft 'add table inet t; add chain inet t in {{ type filter hook input priority 0; }}; add rule inet t in ip6 daddr fd00::4 drop'
        printf 'fd00::%s many.test\n' 1 2 3 4 >>/etc/hosts
        : >/etc/resolv.conf
        crawl job 'http://many.test:8080/{{1..60}}' --retries 0 -c 4 --connect-timeout 8s
        "#
    ));
    assert_eq!(scene.run.stdout, "job 0\n", "{}", scene.run);
    let bodies = scene.bodies("job");
    for address in ["fd00::2", "fd00::3"] {
        let count = bodies.iter().filter(|body| *body == address).count();
        assert!(count >= 15, "{address}: {bodies:?}");
    }
}

#[test]
fn a_silent_name_server_holds_up_nothing_but_its_names() {
    let scene = Scene::play(&format!(
        r#"{WHERE}
        name_server
        echo "options timeout:1 attempts:1" >>/etc/resolv.conf
        socat -u UDP-RECV:53 OPEN:/dev/null &
        for number in $(seq 100); do
            echo "http://silent$((number % 2)).test/$number"
            echo "http://[fd00::2]:8080/$number"
        done >"$T/list"
        crawl job -i "$T/list" -c 2 --retries 0 --max-error-rate 100%
        "#
    ));
    assert_eq!(scene.run.stdout, "job 1\n", "{}", scene.run);
    let records = scene.records("job");
    assert_eq!(records.len(), 200);
    let times = |kind: Option<&str>| {
        let of_kind = records
            .iter()
            .filter(|record| record["error"]["kind"].as_str() == kind);
        let mut times: Vec<String> = of_kind
            .map(|record| record["at"].as_str().unwrap().to_owned())
            .collect();
        times.sort();
        times
    };
    let (well, lost) = (times(None), times(Some("dns")));
    assert_eq!((well.len(), lost.len()), (100, 100));
    // The first hundred do not fit between two items that wait, unless those are put off.
    assert!(well[90] < lost[10], "{} {}", well[90], lost[10]);
}

#[test]
fn what_a_crawl_waits_for_is_told_and_the_wait_can_be_ended() {
    let scene = Scene::play(
        r#"
        name_server
        echo "options timeout:2 attempts:1" >>/etc/resolv.conf
        socat -u UDP-RECV:53 OPEN:/dev/null &
        crawl job 'http://silent.test/{1..3}'
        "$V6KIT" crawl 'http://silent.test/{1..3}' -o "$T/cut" 2>"$T/cut.err" & crawl=$!
        eventually grep -q waiting "$T/cut.err"
        kill -TERM $crawl
        code=0; wait $crawl || code=$?
        echo "cut $code"
        "#,
    );
    assert_eq!(scene.run.stdout, "job 2\ncut 130\n", "{}", scene.run);
    let said = scene.file("job.err");
    assert!(
        said.contains("\nwaiting for the addresses of silent.test\nerror: "),
        "{said}"
    );
    assert!(scene.file("cut.err").contains("stopped before the first request"));
}

#[test]
fn hosts_are_where_the_user_says() {
    let scene = Scene::play(&format!(
        r#"{WHERE}
        : >/etc/resolv.conf
        crawl one 'http://api.example.org:8080/{{1..4}}' --resolve 'API.example.org:8080:[fd00::3]'
        crawl all 'http://{{a,b}}.example.org:8080/' --resolve '*:8080:fd00::1,fd00::2'
        crawl none 'http://api.example.org:8080/' --resolve 'api.example.org:80:[fd00::3]'
        "#
    ));
    assert_eq!(scene.run.stdout, "one 0\nall 0\nnone 2\n", "{}", scene.run);
    assert_eq!(scene.bodies("one"), ["fd00::3"; 4]);
    assert_eq!(scene.bodies("all"), ["fd00::2"; 2]);
    assert!(
        scene
            .file("none.json")
            .contains("no name server gives an answer for"),
        "{}",
        scene.file("none.json")
    );
}
