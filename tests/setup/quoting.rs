//! Hints with names that a shell would take apart: they run as they are printed.

use super::on_host;

/// `runs`: what the first command of a hint in `$T/log/said` does, with sudo at hand.
const RUNS: &str = r#"
sudo() { "$@"; }
export -f sudo
# The last part of a hint that is a command: names may hold what marks its ends.
hinted() { sed -n 's/^hint: [^`]*`\(.*\)`.*/\1/p' "$T/log/said" | sed 's/` (more: .*//; s/`; or .*//; s/`; with.*//' | head -1; }
runs() { bash -c "$(hinted)" || fail "$(cat "$T/log/said")"; }
ODD="$T/log/it's a; \$(touch x) dir"
"#;

#[test]
fn directories_with_spaces_quotes_and_semicolons_are_quoted() {
    on_host(&format!(
        r#"{RUNS}
        cd "$T/log"
        export V6KIT_STATE_DIR="$ODD/state"
        ends 2 $SETUP 2>"$T/log/said"
        runs
        test -d "$ODD"
        $SETUP >/dev/null
        # With sudo, and with what was said in the environment.
        code=0
        unshare --user -- $V6KIT teardown 2>"$T/log/said" || code=$?
        same $code 4
        runs
        test ! -e "$ODD/state"
        $SETUP >/dev/null
        : >"$ODD/state/journal.jsonl"
        ends 1 $V6KIT status 2>"$T/log/said"
        runs
        test ! -e "$ODD/state/journal.jsonl" -a ! -e "$ODD/state/summary.json"
        ln -s "$ODD/away" "$T/log/link"
        ends 2 $SETUP --state-dir "$T/log/link" 2>"$T/log/said"
        runs
        test -d "$ODD/away"
        # A crawl whose segment is gone.
        $V6KIT crawl 'http://[::1]:9/{{1..3}}' -o "$ODD/job" -r max --retries 0 --keep-free 1M -q >/dev/null 2>&1 || true
        rm "$ODD"/job/segment* 2>/dev/null || rm "$ODD"/job/*.zst
        $V6KIT crawl check "$ODD/job" >"$T/log/said" 2>&1 || true
        if has 'crawl check' "$T/log/said"; then
            sed -n 's/^[^`]*`v6kit\( .*\)` opens.*/"$V6KIT"\1/p; s/^[^`]*`v6kit\( crawl check .*\)`.*/"$V6KIT"\1/p' "$T/log/said" | head -1 >"$T/log/command"
            test -s "$T/log/command" || fail "$(cat "$T/log/said")"
            bash "$T/log/command" >"$T/log/repaired" 2>&1 || code=$?
            if has 'unexpected argument' "$T/log/repaired"; then fail "$(cat "$T/log/command")"; fi
        fi
        test ! -e "$T/log/x" -a ! -e x"#
    ));
}

#[test]
fn devices_with_odd_names_are_quoted_and_a_renamed_one_is_told_by_its_new_name() {
    on_host(&format!(
        r#"{RUNS}
        odd="u;'\$x"
        ip link add "$odd" type veth peer name far9
        ip link set "$odd" up
        ip link set far9 up
        $V6KIT setup --prefix $P2 --dev "$odd" >/dev/null
        sysctl -qw "net/ipv6/conf/$odd/disable_ipv6=1"
        ends 1 $V6KIT setup --prefix $P2 --dev "$odd" 2>"$T/log/said"
        runs
        $V6KIT setup --prefix $P2 --dev "$odd" >/dev/null
        # Gone from the firewall: what to run is printed with the device.
        nft delete table inet v6kit
        ends 1 $V6KIT doctor >"$T/log/said" 2>&1
        runs
        $V6KIT doctor >/dev/null
        # Renamed.
        ip link set "$odd" down
        ip link set "$odd" name "new&name"
        ip link set "new&name" up
        ends 1 $V6KIT doctor >"$T/log/said" 2>&1
        has -F "new&name" <<<"$(hinted)"
        runs
        $V6KIT doctor >/dev/null
        # The others print the name that it has now, too.
        ip link set "new&name" down
        ip link set "new&name" name third0
        ip link set third0 up
        ip -6 route del local $P2 dev lo table main
        code=0
        timeout 10 $V6KIT crawl 'http://[::1]:9/' -o "$T/log/items" --keep-free 1M 2>"$T/log/said" || code=$?
        has -F -- '--dev third0' "$T/log/said" || fail "$(cat "$T/log/said")"
        runs
        $V6KIT teardown"#
    ));
}
