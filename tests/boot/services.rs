//! The long-running services under a real systemd, as whom and with what their units say.

use super::machine::{Install, Machine};

/// Sets the machine up and starts a target on http://[2001:db8:ffff::1]; `$target` is its URL.
const SET_UP: &str = r#"
systemd-sysusers
systemd-tmpfiles --create v6kit.conf
v6kit setup --prefix $P --dev up0 --persist -q
target='http://[2001:db8:ffff::1]'
systemd-run -q --unit target v6kit echo --listen '[2001:db8:ffff::1]:80'
eventually curl -sgf -o /dev/null "$target/healthz"
# `job NAME URL KEY=VALUE...`: a job file; its records lie below the directory of its unit.
job() {
    local file=/etc/v6kit/jobs/$1.toml
    printf 'url = ["%s"]\noutput = "records"\n' "$2" >"$file"
    shift 2
    printf '%s\n' "$@" >>"$file"
}
# `main UNIT`: its process.
main() { systemctl show -P MainPID "$1"; }
# `may UNIT`: the capabilities it has and could get, and whether it may gain others.
may() { sed -n 's/^\(CapPrm\|CapEff\|CapBnd\|CapAmb\|NoNewPrivs\):\t//p' "/proc/$(main "$1")/status" | tr '\n' ' '; }
uid() { sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$(main "$1")/status"; }
"#;

#[test]
fn a_crawl_goes_on_after_kill_9_and_stops_in_order() {
    let mut machine = Machine::boot(Install::Package);
    machine.run(&format!(
        r#"{SET_UP}
        same "$(stat -c '%a %G' /etc/v6kit/jobs)" '750 v6kit'
        job items "$target/items/{{1..3000}}" 'rate = "300/s"' 'commit-every = "500ms"'
        unit=v6kit-crawl@items.service
        systemctl enable -q --now $unit
        same "$(may $unit)" "$(printf '0000000000000000 %.0s' 1 2 3 4)1 "
        same "$(id -un "$(uid $unit)")" v6kit
        case $(systemctl show -P StatusText $unit) in *' of 3,000 done'*) ;; *) fail "$(systemctl show -P StatusText $unit)" ;; esac
        directory=/var/lib/v6kit-crawl/items/records
        some() {{ [ "$(v6kit crawl cat $directory 2>/dev/null | wc -l)" -gt 100 ]; }}
        eventually some
        kill -9 "$(main $unit)"
        restarted() {{ [ "$(systemctl show -P NRestarts $unit)" = 1 ] && [ "$(state $unit)" = active ]; }}
        eventually restarted
        # Stopped in order, it can be resumed, and has not failed.
        systemctl stop $unit
        same "$(state $unit) $(result $unit)" 'inactive success'
        v6kit crawl missing $directory | has .
        "#
    ));
    machine.reboot();
    machine.run(
        r#"
        unit=v6kit-crawl@items.service
        directory=/var/lib/v6kit-crawl/items/records
        systemctl is-enabled -q $unit
        # The target is not enabled: bring it back before the last attempt is over.
        systemd-run -q --unit target v6kit echo --listen '[2001:db8:ffff::1]:80'
        systemctl reset-failed $unit || true
        systemctl restart $unit
        finished() { case $(state $unit) in inactive|failed) return 0 ;; *) return 1 ;; esac; }
        eventually finished
        v6kit crawl status $directory >/root/status || true
        has '3,000 of 3,000' /root/status || fail "$(cat /root/status)"
        v6kit crawl cat $directory | jq -e -s 'map(.pos) | length == 3000 and (unique | length == 3000)' >/dev/null
        "#,
    );
}

#[test]
fn a_crawl_that_is_refused_or_wrong_or_has_no_room_is_not_started_again() {
    let machine = Machine::boot(Install::Package);
    machine.run(&format!(
        r#"{SET_UP}
        systemd-run -q --unit refusing v6kit echo --listen '[2001:db8:ffff::1]:81' \
            --limit 1/1h --limit-scope 48 --limit-answer 403
        job refused "$target:81/items/{{1..1000}}" 'rate = "max"' 'probe-pause = "100ms"'
        job wrong "$target/" 'retrys = 1'
        # A disk of its own, three quarters full.
        disk=/var/lib/v6kit-crawl/full
        mkdir -p $disk
        mount -t tmpfs -o size=64M,mode=755 none $disk
        head -c 48M /dev/zero >$disk/ballast
        job full "$target/items/{{1..50}}" 'rate = "max"' 'keep-free = "50%"'
        for case in refused:18 wrong:2 full:3; do
            unit=v6kit-crawl@${{case%:*}}.service
            systemctl start $unit 2>/dev/null || true
            ended() {{ [ "$(state $unit)" = failed ]; }}
            eventually ended
            same "$(systemctl show -P ExecMainStatus $unit)" ${{case#*:}}
        done
        sleep 11
        for name in refused wrong full; do
            same "$(state v6kit-crawl@$name.service) $(systemctl show -P NRestarts v6kit-crawl@$name.service)" 'failed 0'
        done
        journalctl -o cat -u v6kit-crawl@wrong.service | has 'did you mean `retries`'
        journalctl -o cat -u v6kit-crawl@full.service | has keep-free
        # With room again and started by hand, it goes on to the end.
        rm $disk/ballast
        systemctl start v6kit-crawl@full.service || true
        finished() {{ [ "$(state v6kit-crawl@full.service) $(result v6kit-crawl@full.service)" = 'inactive success' ]; }}
        eventually finished
        same "$(v6kit crawl cat $disk/records --outcome ok | wc -l)" 50
        # Without a job file nothing is tried.
        systemctl start v6kit-crawl@none.service
        same "$(systemctl show -P ConditionResult v6kit-crawl@none.service)" no
        "#
    ));
}

#[test]
fn a_restart_of_the_proxy_on_its_socket_fails_nobody() {
    let machine = Machine::boot(Install::Package);
    machine.run(&format!(
        r#"{SET_UP}
        mkdir -p /etc/default
        echo 'V6KIT_PROXY_OPTIONS=--allow-destination 2001:db8:ffff::1/128' >/etc/default/v6kit-proxy
        unit=v6kit-proxy.service
        systemctl start v6kit-proxy.socket
        same "$(state $unit)" inactive
        ask() {{ curl -sSgf -m 90 "$@" -x http://127.0.0.1:1234 "$target"; }}
        case $(ask) in 2001:db8:1:*) ;; *) fail "not from the prefix" ;; esac
        same "$(state $unit)" active
        same "$(may $unit)" "$(printf '0000000000000000 %.0s' 1 2 3 4)1 "
        [ "$(uid $unit)" -ge 61184 ] || fail "no dynamic user: $(uid $unit)"
        for asker in 1 2 3; do
            (until [ -e /root/stop ]; do
                if ask >>/root/asked 2>>/root/errors; then echo >>/root/asked; else echo >>/root/failed; fi
            done) &
        done
        lines() {{ wc -l </root/asked; }}
        for _ in 1 2 3 4; do
            before=$(lines)
            more() {{ [ "$(lines)" -gt $((before + 20)) ]; }}
            eventually more
            systemctl restart $unit
        done
        systemctl reload $unit
        touch /root/stop
        wait
        test ! -e /root/failed || fail "$(wc -l </root/failed) failed: $(cat /root/errors)"
        same "$(systemctl show -P NRestarts $unit) $(result $unit)" '0 success'
        # Killed, it is back.
        kill -9 "$(main $unit)"
        back() {{ ask >/dev/null 2>&1; }}
        eventually back
        "#
    ));
}

#[test]
fn solicitations_are_answered_with_the_right_to_raw_packets_alone() {
    let machine = Machine::boot(Install::Package);
    machine.run(&format!(
        r#"{SET_UP}
        unit=v6kit-ndp.service
        # The router, for which the prefix is on-link.
        unshare --net sleep infinity >/dev/null 2>&1 &
        router=$!
        trap 'kill $router' EXIT
        moved() {{ ip link set down0 netns $router 2>/dev/null; }}
        other() {{ [ "$(readlink /proc/$router/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }}
        eventually other
        moved
        at_router() {{ nsenter --target $router --net -- "$@"; }}
        at_router ip link set lo up
        at_router ip link set down0 up
        at_router ip -6 addr add 2001:db8:1::1/64 dev down0 nodad
        ready() {{ ip -6 addr show dev up0 scope link | has 'inet6 fe80' && ! ip -6 addr show dev up0 | has tentative; }}
        eventually ready
        systemctl start $unit
        # What the unit lends it, it does not lend on.
        same "$(may $unit)" "0000000000002000 0000000000002000 0000000000002000 0000000000000000 1 "
        [ "$(uid $unit)" -ge 61184 ] || fail "no dynamic user: $(uid $unit)"
        same "$(systemctl show -P StatusText $unit)" "answering for $P on up0"
        solicited() {{
            at_router ping -6 -c 1 -W 1 2001:db8:1::abcd >/dev/null 2>&1 || true
            at_router ip -6 neigh show 2001:db8:1::abcd | has lladdr
        }}
        eventually solicited
        kill -9 "$(main $unit)"
        back() {{ [ "$(state $unit) $(systemctl show -P NRestarts $unit)" = 'active 1' ]; }}
        eventually back
        systemctl stop $unit
        same "$(result $unit)" success
        "#
    ));
}
