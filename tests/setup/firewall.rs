//! What reaches the prefix from outside, and connection tracking.

use super::{ECHO, on_host};

/// A service on every address of the host, and how the peer reaches it.
const SERVICE: &str = r#"
A=2001:db8:1::a:b:c
started "$V6KIT" echo --listen '[::]:8080'
reaches() { in_peer curl --silent --show-error --fail --connect-timeout 1 --output /dev/null "http://[$1]:8080/"; }
pings() { in_peer ping -q -c 1 -W 1 "$1" >/dev/null; }
"#;

#[test]
fn inbound_protection_drops_new_connections_and_ping_and_lets_answers_through() {
    on_host(&format!(
        r#"{ECHO}{SERVICE}
        $SETUP --inbound allow --json >"$T/log/open"
        # Without it the service is reached at every address, and setup names it.
        jq -e '.steps[] | select(.id == "inbound").reason | contains("tcp 8080 (")' "$T/log/open"
        reaches $A
        pings $A
        $SETUP
        fails reaches $A
        fails pings $A
        # The host's own address is as open as before, and so is the prefix from the host itself.
        reaches $OWN
        pings $OWN
        curl --silent --show-error --fail --output /dev/null "http://[$A]:8080/"
        curl --silent --show-error --fail --output /dev/null --interface $A "http://[$PEER]/"
        $V6KIT teardown"#
    ));
}

#[test]
fn an_own_address_in_the_prefix_stays_open() {
    on_host(&format!(
        r#"{SERVICE}
        ip addr add 2001:db8:1::5/128 dev up0 nodad
        $SETUP
        reaches 2001:db8:1::5
        pings 2001:db8:1::5
        fails reaches $A"#
    ));
}

/// The first datagram that arrives at a socket: the one to a closed address is sent first.
const DATAGRAMS: &str = r#"
listen() { # name, address
    socat -u UDP6-RECVFROM:5353,bind="[$2]",reuseaddr "OPEN:$T/log/$1,creat,append" & 
    until ss -Hlun | has -F "[$2]:5353" || { [ "$2" = :: ] && ss -Hlun | has -E '(\*|\[::\]):5353'; }; do :; done
}
send() { printf '%s' "$2" | in_peer socat -u - "UDP6-SENDTO:[$1]:5353"; }
"#;

#[test]
fn datagrams_reach_the_sockets_of_that_very_address_and_no_service_on_every_address() {
    on_host(&format!(
        r#"{DATAGRAMS}
        A=2001:db8:1::a:b:c
        sysctl -qw net.ipv6.ip_nonlocal_bind=1
        for purpose in crawl proxy; do
            $SETUP --for $purpose
            # A service on every address hears nothing that is sent to the prefix.
            listen service-$purpose ::
            service=$!
            send $A closed
            send $OWN open
            wait $service
            same "$(cat "$T/log/service-$purpose")" open
            # A socket bound to an address of the prefix hears its answers: a relay's, or that of a client of QUIC.
            listen bound-$purpose $A
            bound=$!
            send $A answer
            wait $bound
            same "$(cat "$T/log/bound-$purpose")" answer
        done"#
    ));
}

/// A client of `v6kit proxy` with one UDP association, a server at the peer that answers, and a stranger there.
const ASSOCIATION: &str = r#"
cat > "$T/log/server.py" <<'PY'
# Answers each datagram with the address it came from, and tells it to the stranger as well.
import socket, sys
peer, stranger = sys.argv[1:]
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind((peer, 5300))
other = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
other.bind((stranger, 5300))
print("up", flush=True)
while True:
    got, source = server.recvfrom(65536)
    other.sendto(b"unsolicited", source[:2])
    server.sendto(b"%s seen at %s" % (got, source[0].encode()), source)
PY
cat > "$T/log/client.py" <<'PY'
import socket, struct, sys
host, port = sys.argv[1].rsplit(":", 1)
peer, = sys.argv[2:]
control = socket.create_connection((host, int(port)), timeout=60)
control.sendall(b"\x05\x01\x00\x05\x03\x00\x01\0\0\0\0\0\0")
reply = control.recv(100)
while len(reply) < 12:
    reply += control.recv(100)
assert reply[2:6] == b"\x05\x00\x00\x01", reply
relay = socket.inet_ntoa(reply[6:10]), struct.unpack(">H", reply[10:12])[0]
mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mine.settimeout(60)
header = b"\0\0\0\x04" + socket.inet_pton(socket.AF_INET6, peer) + struct.pack(">H", 5300)
for question in (b"first", b"second"):
    mine.sendto(header + question, relay)
    answer = mine.recv(65536)
    # The stranger's datagram was sent before this one.
    assert answer.startswith(header + question + b" seen at "), answer
print(answer.split()[-1].decode())
PY
"#;

#[test]
fn a_proxys_datagrams_come_back_and_nothing_else_comes_in() {
    on_host(&format!(
        r#"{DATAGRAMS}{SERVICE}{ASSOCIATION}
        STRANGER=2001:db8:ffff::66
        in_peer ip addr add $STRANGER/64 dev down0 nodad
        until in_peer bash -c "is_usable $STRANGER down0"; do :; done
        $SETUP --for proxy
        started in_peer python3 "$T/log/server.py" $PEER $STRANGER
        "$V6KIT" proxy --json --listen 127.0.0.1:0 >"$T/log/ready" &
        proxy=$!
        until [ -s "$T/log/ready" ]; do sleep 0.05; done
        at=$(jq -r '.listening[0]' "$T/log/ready")
        source=$(python3 "$T/log/client.py" "$at" $PEER)
        [[ $source == 2001:db8:1:0:* ]] || fail "the datagrams came from $source"
        # Services on every address of the host are reached at its own one only, whatever the protocol.
        reaches $OWN
        fails reaches $A
        fails reaches "$source"
        listen service ::
        service=$!
        send $A closed
        send "$source" closed
        send $OWN open
        wait $service
        same "$(cat "$T/log/service")" open
        kill $proxy
        wait $proxy
        $V6KIT teardown"#
    ));
}

#[test]
fn without_nft_setup_warns_and_lists_the_services_that_are_now_reached() {
    on_host(&format!(
        r#"{SERVICE}
        # Only what this test needs is left of the system's programs.
        mkdir "$T/log/sbin"
        for program in ip ss sysctl; do cp "$(command -v $program)" "$T/log/sbin/"; done
        mount --bind "$T/log/sbin" /usr/sbin
        test -L /sbin || mount --bind "$T/log/sbin" /sbin
        hash -r
        export PATH="$T/log/sbin:/usr/bin:/bin"
        fails command -v nft
        $SETUP --json >"$T/log/report"
        same "$(jq -r '.steps[] | select(.id == "inbound").state' "$T/log/report")" skipped
        jq -e '.steps[] | select(.id == "inbound").reason | contains("nft is not installed") and contains("tcp 8080 (")' "$T/log/report"
        jq -e '.steps[] | select(.id == "inbound").hint | contains("apt install nftables")' "$T/log/report"
        same "$(jq -r '.steps[] | select(.id == "route").state' "$T/log/report")" changed
        $V6KIT status
        $V6KIT teardown
        test ! -e "$V6KIT_STATE_DIR""#
    ));
}

/// A firewall as in many guides: new connections out, their answers in, nothing else.
const DEFAULT_DROP: &str = r#"
nft -f - <<'RULES'
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname "lo" accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    }
    chain output {
        type filter hook output priority filter; policy accept;
    }
}
RULES
tracked() { conntrack -C; }
"#;

#[test]
fn notrack_asks_for_the_one_line_that_a_default_drop_firewall_lacks() {
    on_host(&format!(
        r#"{ECHO}{DEFAULT_DROP}
        snapshot >"$T/log/before"
        fetch() {{ curl --silent --show-error --fail --connect-timeout 2 --output /dev/null --interface $(random_address $P) "http://[$PEER]/"; }}
        ends 1 $SETUP --conntrack notrack --json >"$T/log/report"
        same "$(jq -r '.steps[] | select(.id == "notrack").state' "$T/log/report")" conflict
        # Nothing is broken by it: connections still work, tracked.
        fetch
        jq -r '.steps[] | select(.id == "notrack").hint' "$T/log/report" >"$T/log/hint"
        # What the hint says to type is enough.
        line=$(grep -oE '`nft [^`]*`' "$T/log/hint" | tr -d '`')
        $line
        conntrack --flush 2>/dev/null
        $SETUP --conntrack notrack --json | jq -e '.steps[] | select(.id == "notrack").state == "changed"'
        # It was tried with tracking first.
        conntrack --flush 2>/dev/null
        for i in 1 2 3 4 5; do fetch; done
        same "$(tracked)" 0
        $V6KIT status
        $V6KIT teardown
        for i in 1 2 3; do curl --silent --show-error --fail --output /dev/null "http://[$PEER]/"; done
        test "$(tracked)" -ge 3
        # Only that line is left of it all.
        handle=$(nft -a list chain inet filter input | sed -n 's/.*untracked accept # handle //p')
        nft delete rule inet filter input handle $handle
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
}

#[test]
fn connection_tracking_that_may_not_be_raised_here_is_skipped_with_advice() {
    on_host(&format!(
        r#"{DEFAULT_DROP}
        $SETUP --conntrack 100000000 --json >"$T/log/report"
        same "$(jq -r '[.steps[] | select(.id | startswith("net.netfilter")) | .state] | join(" ")' "$T/log/report")" 'skipped skipped'
        jq -e '.steps[] | select(.id == "net.netfilter.nf_conntrack_max").reason | contains("initial network namespace")' "$T/log/report""#
    ));
}

#[test]
fn where_nothing_is_tracked_connection_tracking_is_left_alone() {
    on_host(
        r#"
        $SETUP --json >"$T/log/report"
        same "$(jq -r '.steps[] | select(.id == "conntrack").state' "$T/log/report")" unchanged
        jq -e '.steps[] | select(.id == "conntrack").reason | test("nothing is tracked|not loaded")' "$T/log/report""#,
    );
}

#[test]
fn a_table_of_the_same_name_that_somebody_else_made_is_a_conflict_and_stays() {
    on_host(
        r#"
        nft add table inet v6kit
        snapshot >"$T/log/before"
        ends 1 $SETUP --json >"$T/log/report"
        same "$(jq -r '.steps[] | select(.id == "inbound").state' "$T/log/report")" conflict
        same "$(jq -r '.steps[] | select(.id == "route").state' "$T/log/report")" changed
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#,
    );
}
