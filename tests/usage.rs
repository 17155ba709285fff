//! What somebody sees who types something wrong.

use crate::harness::{in_namespace, v6kit};

/// One line of what failed, one of why, one hint, in this order and nothing else.
#[track_caller]
fn assert_explained(stderr: &str) {
    let starts: Vec<&str> = stderr.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(starts, ["error:", "why:", "hint:"], "{stderr}");
}

#[test]
fn a_bad_prefix_is_explained_and_exits_2() {
    for prefix in [
        "2409:1:2:3:abcd::5/80",
        "10.0.0.0/8",
        "foo",
        "2001:db8::1",
        "2000::/8",
    ] {
        let run = v6kit(&["verify", "--prefix", prefix]).expect(2);
        assert_explained(&run.stderr);
        assert!(run.stdout.is_empty(), "{run}");
    }
}

#[test]
fn json_failures_are_one_document_on_standard_output() {
    let run = v6kit(&["verify", "--json", "--prefix", "2409:1:2:3:abcd::5/80"]).expect(2);
    assert_eq!(run.json()["error"]["exit"], 2);
    assert_eq!(run.json()["error"]["hint"], "the network is 2409:1:2:3:abcd::/80");
    assert_explained(&run.stderr);
}

#[test]
fn a_hint_names_the_entry_of_the_catalogue_that_explains_it() {
    let run = v6kit(&["verify", "--json", "--prefix", "2409:1:2:3:abcd::5/80"]).expect(2);
    let code = run.json()["error"]["code"].clone();
    assert_eq!(code, "bad-prefix");
    assert!(run.stderr.contains("(more: `v6kit explain bad-prefix`)"), "{run}");
    let explained = v6kit(&["explain", "bad-prefix"]).expect(0).stdout;
    for part in ["has host bits set behind", "Cause: ", "What to do: "] {
        assert!(explained.contains(part), "{explained}");
    }
    let unknown = v6kit(&["explain", "bad-perfix"]).expect(2);
    assert!(unknown.stderr.contains("did you mean `bad-prefix`?"), "{unknown}");
    let all = v6kit(&["explain"]).expect(0).stdout;
    assert!(all.lines().any(|line| line == "no-route"), "{all}");
}

#[test]
fn an_unknown_subcommand_is_explained_and_exits_2() {
    let run = v6kit(&["sutep"]).expect(2);
    assert_explained(&run.stderr);
    assert!(run.stderr.contains("setup"), "{run}");
}

/// Every subcommand that takes options, with an option that none has.
const COMMANDS: [&[&str]; 14] = [
    &[],
    &["setup"],
    &["status"],
    &["teardown"],
    &["verify"],
    &["echo"],
    &["crawl"],
    &["crawl", "status"],
    &["proxy"],
    &["ndp"],
    &["router"],
    &["router", "push"],
    &["lab", "demo"],
    &["doctor"],
];

#[test]
fn the_hint_of_wrong_usage_runs_as_printed_and_shows_the_command_that_was_typed() {
    for command in COMMANDS {
        let run = v6kit(&[command, &["--qqqqqqqq"]].concat()).expect(2);
        let hint = run
            .stderr
            .lines()
            .find(|line| line.starts_with("hint: "))
            .and_then(|line| line.split('`').nth(1))
            .unwrap_or_else(|| panic!("no command in the hint: {run}"));
        let words: Vec<&str> = hint.split(' ').collect();
        let shown = v6kit(&words[1..]).expect(0).stdout;
        let usage = format!("Usage: v6kit {}", command.join(" "));
        assert!(shown.contains(usage.trim_end()), "`{hint}`: {shown}");
    }
}

/// Lets the commands of hints run as they are printed: `sudo` has the path of Debian's, and its caller v6kit in
/// a directory that sudo does not search.
const PRINTED: &str = r#"
set -o errtrace
trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR
mkdir "$T/bin"
SECURE=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
printf '#!/bin/sh\nexec env -i PATH=%s "$@"\n' $SECURE >"$T/bin/sudo"
chmod 755 "$T/bin/sudo"
ln -s "$V6KIT" "$T/bin/v6kit"
PATH="$T/bin:$PATH"
# sudo hands no environment on: the journal lies where it lies by default.
unset V6KIT_STATE_DIR
mount -t tmpfs tmpfs /var/lib
ip link add up0 type veth peer name down0
ip link set up0 up
ip link set down0 up
ip addr add 2001:db8:ffff::2/64 dev up0 nodad
ip -6 route add default via 2001:db8:ffff::1 dev up0
P=2001:db8:1::/64
fail() { echo "$*" >&2; exit 1; }
# Runs the commands in the hints of a file, each of which must be one that there is.
follow() {
    local command code
    grep -hE '^(hint|note): |Next: |Undo: ' "$1" >"$T/hints" || fail "no hint: $(cat "$1")"
    { { grep -oE '`[^`]+`' "$T/hints" || true; } | tr -d '`'; sed -nE 's/.*(Next|Undo): (.*)/\2/p' "$T/hints" | sed 's/\. Undo: /\n/'; } | awk '!seen[$0]++' >"$T/commands"
    while read -r command; do
        code=0
        bash -c "$command" >"$T/said" 2>&1 </dev/null || code=$?
        case $code in 0 | 1) ;; *) fail "\`$command\` ends with $code: $(cat "$T/said")" ;; esac
        followed=$((followed + 1))
    done <"$T/commands"
}
followed=0
"#;

#[test]
fn every_hint_of_setup_status_teardown_and_doctor_runs_as_it_is_printed() {
    in_namespace(&format!(
        r#"{PRINTED}
        plain() {{ unshare --user -- "$@"; }}
        hints() {{ "$@" >"$T/out" 2>&1 || true; follow "$T/out"; }}
        hints v6kit status
        hints v6kit verify
        # What a plain user is told, typed as it is printed, sets up.
        hints plain v6kit setup --prefix $P --dev up0 --for proxy
        v6kit status >/dev/null
        hints plain v6kit status
        hints plain v6kit teardown
        if v6kit status >/dev/null; then fail 'still set up'; fi
        hints v6kit setup --prefix $P
        hints v6kit setup --prefix $P
        # Drift of each kind.
        v6kit setup --prefix $P >/dev/null
        ip -6 route flush proto 86 table all
        nft flush ruleset
        hints v6kit doctor
        v6kit status >/dev/null || fail 'the hint of doctor did not repair it'
        nft flush ruleset
        # Its last line undoes.
        hints v6kit status
        v6kit setup --prefix $P >/dev/null
        sysctl -qw net.ipv4.tcp_tw_reuse=0
        nft insert rule inet v6kit inbound tcp dport 7 accept
        hints v6kit teardown
        test "$(sysctl -n net.ipv4.tcp_tw_reuse)" = 2 || fail 'the hint of teardown did not put it back'
        if nft list table inet v6kit 2>/dev/null; then fail 'the table is still there'; fi
        # Devices.
        ip link set lo down
        hints v6kit setup --prefix $P
        sysctl -qw net.ipv6.conf.up0.disable_ipv6=1
        hints v6kit setup --prefix $P --dev up0
        sysctl -qw net.ipv6.conf.all.disable_ipv6=1
        hints v6kit doctor
        sysctl -qw net.ipv6.conf.all.disable_ipv6=1
        hints v6kit setup --prefix $P --dev up0
        test "$(cat /proc/sys/net/ipv6/conf/up0/disable_ipv6)" = 0 || fail 'still off'
        # Things in the way.
        ip -6 route add blackhole $P table local
        hints v6kit setup --prefix $P --dev up0
        nft add table inet v6kit
        hints v6kit setup --prefix $P --dev up0
        echo '* soft nofile 9' >/etc/security/limits.d/90-v6kit.conf
        hints v6kit setup --prefix $P --dev up0
        test ! -e /etc/security/limits.d/90-v6kit.conf || grep -q v6kit /etc/security/limits.d/90-v6kit.conf
        v6kit setup --prefix $P --dev up0 >/dev/null
        v6kit teardown >/dev/null
        test $followed -ge 20 || fail "only $followed commands"
        "#
    ))
    .expect(0);
}
