//! Answers that are missing: for how long is looked, whose rules are named, and what hints lead to.

use super::{assert_said, in_words};

#[test]
fn solicitations_are_watched_for_longer_than_a_short_timeout() {
    let all = in_words(
        "on-link",
        "set_up\npatience=300ms\nsay\npatience=1s\nsay\nas=$drop_all say\ncount=1\nas=$drop_all say",
    );
    assert_eq!(all.len(), 4);
    for said in &all {
        assert_said(
            said,
            "on-link",
            &["v6kit ndp --prefix 2001:db8:6::/64 --dev eth0`"],
        );
    }
}

#[test]
fn a_responder_that_answers_in_vain_is_not_recommended_once_more() {
    let all = in_words(
        "on-link",
        r#"
        set_up
        patience=2s
        # A switch that lets nobody tell of addresses that it did not give out.
        in_router nft add table netdev switch
        in_router nft "add chain netdev switch port { type filter hook ingress device lan priority 0; }"
        in_router nft add rule netdev switch port icmpv6 type nd-neighbor-advert @th,64,64 0x20010db800060000 drop
        coproc NDP { exec "$V6KIT" ndp --prefix "$V6KIT_LAB_PREFIX" --dev eth0 2>&1; }
        read -r line <&"${NDP[0]}"
        say
        kill -INT $NDP_PID
        wait $NDP_PID || true
        "#,
    );
    assert_said(
        &all[0],
        "on-link",
        &["this host advertises them (a responder runs here)"],
    );
    assert!(!all[0].contains("v6kit ndp"), "{}", all[0]);
}

#[test]
fn who_refuses_the_prefix_is_not_said_to_have_no_service() {
    let all = in_words(
        "routed",
        r#"
        set_up
        patience=1s
        in_router nft add table ip6 f
        in_router nft "add chain ip6 f forward { type filter hook forward priority 0; }"
        in_router nft add rule ip6 f forward ip6 saddr "$V6KIT_LAB_PREFIX" meta l4proto tcp reject with tcp reset
        say
        in_router nft flush chain ip6 f forward
        # A proxy of this host's own that is not there any more.
        nft add table ip6 n
        nft "add chain ip6 n out { type nat hook output priority -100; }"
        nft add rule ip6 n out ip6 saddr "$V6KIT_LAB_PREFIX" tcp dport 80 redirect to :3128
        say
        "#,
    );
    assert_said(
        &all[0],
        "filtered",
        &["answers the host's own address, and connections from 2001:db8:6::/64 are refused"],
    );
    assert!(!all[0].contains("service listens"), "{}", all[0]);
    assert_said(
        &all[1],
        "dropped-here",
        &["drop or divert them stand in `sudo nft -a list chain ip6 n out`"],
    );
}

/// `slow PORT`: an endpoint on the target that takes 1.5 s to answer addresses of the prefix.
const SLOW: &str = r#"
    slow() {
        mkfifo "$T/ready"
        in_target python3 -c '
import socket, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        caller = self.client_address[0]
        if caller.startswith("2001:db8:6:"): time.sleep(1.5)
        self.send_response(200)
        self.send_header("Content-Length", str(len(caller)))
        self.end_headers()
        self.wfile.write(caller.encode())
server = Server(("::", int(sys.argv[1])), Handler)
open(sys.argv[2], "w").close()
server.serve_forever()
' "$1" "$T/ready" &
        : < "$T/ready"
        V6KIT_LAB_TARGET="http://[2001:db8:80::80]:$1"
    }
    trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
"#;

#[test]
fn answers_that_come_too_late_are_told_as_late_and_with_the_time_they_need() {
    let all = in_words("routed", &format!("{SLOW}\nset_up\nslow 9000\npatience=1s\nsay"));
    assert_said(
        &all[0],
        "no-return",
        &[
            "later than --timeout allows",
            "answered after ",
            "give it more time: --timeout ",
        ],
    );
}

#[test]
fn rules_that_our_packets_cannot_meet_are_not_named() {
    let all = in_words(
        "routed",
        r#"
        set_up
        patience=2s
        nft -f - <<'RULES'
table inet guard {
    set strangers { type ipv6_addr; elements = { 2001:db8:ffff::1 }; }
    chain other_device { type filter hook output priority 0; oifname "wg0" drop; }
    chain other_protocol { type filter hook output priority 1; udp dport 443 drop; icmpv6 type echo-request drop; }
    chain other_source { type filter hook output priority 2; ip6 saddr 2001:db8:7::/64 drop; ip6 daddr @strangers counter drop; }
    chain other_port { type filter hook output priority 3; tcp dport { 25, 465, 587 } reject; }
    chain answers { type filter hook input priority 0; tcp sport 8080 counter drop; }
    chain called { ip6 nexthdr tcp counter drop; }
    chain calls { type filter hook output priority 4; ip6 saddr 2001:db8:6::/64 tcp dport vmap { 22 : accept, 80 : jump called }; }
}
RULES
        say
        nft flush chain inet guard calls
        nft add rule inet guard other_source ip6 saddr "$V6KIT_LAB_PREFIX" tcp dport 80 drop
        nft flush chain inet guard answers
        say
        "#,
    );
    assert_said(
        &all[0],
        "dropped-here",
        &["`sudo nft -a list chain inet guard called` (its counter went up by "],
    );
    assert_said(
        &all[1],
        "dropped-here",
        &["them stand in `sudo nft -a list chain inet guard other_source`"],
    );
    for said in &all {
        for decoy in ["other_device", "other_protocol", "other_port", "guard answers"] {
            assert!(!said.contains(decoy), "{decoy}: {said}");
        }
    }
    assert!(!all[0].contains("other_source"), "{}", all[0]);
}

#[test]
fn a_host_that_lets_nothing_out_is_not_told_to_look_at_its_router() {
    let all = in_words(
        "routed",
        r#"
        set_up
        patience=1s
        nft add table inet guard
        nft "add chain inet guard out { type filter hook output priority 0; }"
        nft add rule inet guard out tcp dport 80 counter drop
        ip -6 neigh flush dev eth0
        say
        # As by somebody who drops what he does not know.
        nft flush chain inet guard out
        nft add rule inet guard out meta l4proto icmpv6 drop
        ip -6 neigh flush dev eth0
        say
        "#,
    );
    assert_said(
        &all[0],
        "dropped-here",
        &[
            "do not leave by eth0",
            "chain inet guard out` (its counter went up by ",
        ],
    );
}

/// An endpoint on port 9000 of the target whose answer is larger than a packet.
const LARGE: &str = r#"
    large() {
        mkfifo "$T/ready"
        in_target python3 -c '
import socket, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        body = (self.client_address[0] + "\n" + "x" * 5000).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = Server(("::", 9000), Handler)
open(sys.argv[1], "w").close()
server.serve_forever()
' "$T/ready" &
        trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
        : < "$T/ready"
    }
"#;

#[test]
fn packets_of_full_size_that_are_lost_are_told_where_that_was_seen() {
    let all = in_words(
        "routed",
        &format!(
            r#"
            {LARGE}
            set_up
            large
            patience=2s
            # A link of 1280 bytes, behind a filter that lets nobody hear of it.
            in_router nft add table ip6 f
            in_router nft "add chain ip6 f out {{ type filter hook output priority 0; }}"
            in_router nft add rule ip6 f out icmpv6 type packet-too-big drop
            in_router ip link set wan mtu 1280
            say
            # The same for what comes back.
            in_router ip link set wan mtu 1500
            in_router ip link set lan mtu 1280
            V6KIT_LAB_TARGET=http://[2001:db8:80::80]:9000 say
            in_router ip link set lan mtu 1500
            V6KIT_LAB_TARGET=http://[2001:db8:80::80]:9000 say
            # Both ends take more than what is between them.
            ip link set "$V6KIT_LAB_DEV" mtu 5000
            in_target ip link set "$(in_target ip -6 -j route get 2001:db8:6::1 | jq -r '.[0].dev')" mtu 5000
            say
            "#
        ),
    );
    assert_said(
        &all[0],
        "ok",
        &[
            "a request larger than a packet gets no answer, and does in segments of 1220 bytes",
            "this host sends packets of up to 1500 bytes there",
        ],
    );
    assert_said(
        &all[3],
        "ok",
        &["this host sends packets of up to 5000 bytes there"],
    );
    assert_said(
        &all[1],
        "path-mtu",
        &["are answered in segments of 1220 bytes. Not known: who drops them"],
    );
    assert_said(&all[2], "ok", &[]);
    assert!(!all[2].contains("1220"), "{}", all[2]);
}

#[test]
fn one_address_is_said_to_show_what_one_address_shows() {
    let all = in_words(
        "routed",
        r#"
        set_up
        count=1 say
        V6KIT_LAB_PREFIX=2001:db8:6::77/128 say
        "#,
    );
    assert_said(
        &all[0],
        "ok",
        &["one address shows nothing of the others of 2001:db8:6::/64"],
    );
    assert_said(
        &all[1],
        "ok",
        &["a connection left from 2001:db8:6::77 and was answered"],
    );
    for said in &all {
        assert!(!said.contains("random addresses"), "{said}");
    }
}

/// Runs every command of ours in the hints of verify as it is printed.
const FOLLOW: &str = r#"
    sudo() { "$@"; }
    v6kit() { "$V6KIT" "$@"; }
    follow() {
        ${as:-} "$V6KIT" verify --prefix "$V6KIT_LAB_PREFIX" --endpoint "$V6KIT_LAB_TARGET" --count 4 --timeout 1s \
            > "$T/said" || true
        grep '^hint:' "$T/said" | grep -oE '`(sudo )?[^` ]*v6kit (verify|setup) [^`]*`' | tr -d '`' | sort -u \
            > "$T/commands"
        while read -r line; do
            # Public servers are not reached from here.
            line=${line/https:\/\/api6.ipify.org/$1}
            [[ $line != *" setup "* ]] || line="$line --dry-run"
            code=0
            eval "$line" > "$T/followed" 2>&1 < /dev/null || code=$?
            echo "followed: $line ($code)"
            case $code in 2 | 4 | 12[5-7]) cat "$T/followed"; exit 1 ;; esac
        done < "$T/commands"
    }
"#;

#[test]
fn each_hint_of_verify_runs_as_it_is_printed_and_leads_on() {
    let run = super::in_prepared_lab(
        "routed",
        &format!(
            r#"
            {FOLLOW}
            real=$V6KIT_LAB_TARGET
            follow "$real"
            set_up --inbound allow
            coproc SERVICE {{ exec "$V6KIT" echo --json --listen [::]:7777; }}
            read -r line <&"${{SERVICE[0]}}"
            as=$drop_all follow "$real"
            V6KIT_LAB_TARGET=${{real%/}}/nothing/there follow "$real"
            in_router ip -6 route del "$V6KIT_LAB_PREFIX"
            as=$drop_all follow "$real"
            kill $SERVICE_PID
            "#
        ),
    )
    .expect(0);
    for expected in [
        "setup --prefix 2001:db8:6::/64 --dev eth0 --dry-run (0)",
        "verify --prefix 2001:db8:6::/64 --endpoint 'http://[2001:db8:80::80]' (0)",
        "verify --prefix 2001:db8:6::/64 --endpoint http://[2001:db8:80::80] (0)",
        "verify --prefix 2001:db8:6::/64 --endpoint 'http://[2001:db8:80::80]' (1)",
    ] {
        assert!(
            run.stdout.contains(expected),
            "`{expected}` was not followed: {run}"
        );
    }
}

/// An nft in `$T/bin` that never ends, and leaves its process id in `$T/nft.pid`.
const ENDLESS: &str = r#"
    mkdir "$T/bin"
    printf '#!/bin/sh\necho $$ >"%s/nft.pid"\nexec sleep 1000\n' "$T" > "$T/bin/nft"
    chmod 755 "$T/bin/nft"
"#;

#[test]
fn a_program_that_never_ends_holds_nobody_up() {
    let all = in_words(
        "routed",
        &format!(
            r#"
            set_up
            patience=1s
            nft add table ip6 guard
            nft "add chain ip6 guard out {{ type filter hook output priority 0; }}"
            nft add rule ip6 guard out ip6 saddr "$V6KIT_LAB_PREFIX" drop
            {ENDLESS}
            PATH=$T/bin:$PATH
            say
            "#
        ),
    );
    assert_said(
        &all[0],
        "dropped-here",
        &["which rule is not known (nftables: `nft` did not end within "],
    );
}

#[test]
fn a_program_that_is_waited_for_ends_with_whoever_waits() {
    let run = super::in_prepared_lab(
        "routed",
        &format!(
            r#"
            set_up
            {ENDLESS}
            nft add table ip6 guard
            nft "add chain ip6 guard out {{ type filter hook output priority 0; }}"
            nft add rule ip6 guard out ip6 saddr "$V6KIT_LAB_PREFIX" drop
            until_so() {{ for _ in $(seq 1200); do ! eval "$1" || return 0; sleep 0.05; done; echo "never: $1" >&2; return 1; }}
            for signal in INT KILL; do
                rm -f "$T/nft.pid"
                # A shell gives what it starts in the background a deaf ear for INT.
                PATH=$T/bin:$PATH setsid env --default-signal=INT "$V6KIT" verify --prefix "$V6KIT_LAB_PREFIX" \
                    --endpoint "$V6KIT_LAB_TARGET" --timeout 1s >"$T/verify" 2>&1 &
                verify=$!
                until_so '[ -s "$T/nft.pid" ]'
                nft=$(<"$T/nft.pid")
                kill -0 "$nft"
                kill -$signal $verify
                wait $verify || true
                until_so '! kill -0 "$nft" 2>/dev/null'
                echo "$signal: both are gone"
            done
            "#
        ),
    )
    .expect(0);
    assert_eq!(run.stdout, "INT: both are gone\nKILL: both are gone\n", "{run}");
}
