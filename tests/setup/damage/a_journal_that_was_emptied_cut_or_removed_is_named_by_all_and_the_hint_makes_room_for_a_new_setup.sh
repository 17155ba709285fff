# shellcheck shell=bash
sudo() { "$@"; }
export -f sudo
journal="$V6KIT_STATE_DIR/journal.jsonl"
snapshot >"$T/log/before"
damages=(': >"$journal"' 'rm "$journal"' 'sed -i "3,$ d" "$journal"' 'truncate -s -1 "$journal"' 'sed -i "$ d" "$journal"')
for damage in "${damages[@]}"; do
    $SETUP >/dev/null
    eval "$damage"
    for command in "$SETUP" "$SETUP --dry-run" "$V6KIT status" "$V6KIT teardown" "$V6KIT verify" "$V6KIT proxy"; do
        code=0
        timeout 20 $command >"$T/log/said" 2>&1 || code=$?
        case $code in 1 | 2) ;; *) fail "$damage: $command ended with $code: $(cat "$T/log/said")" ;; esac
        has '^why: .*was emptied, cut or removed' "$T/log/said" || fail "$damage: $command: $(cat "$T/log/said")"
    done
    ends 1 $V6KIT doctor >"$T/log/doctor" 2>&1
    has 'was emptied, cut or removed' "$T/log/doctor"
    ends 1 $V6KIT status 2>"$T/log/said"
    bash -c "$(sed -n 's/^hint: [^`]*`\([^`]*\)`.*/\1/p' "$T/log/said")" || fail "$(cat "$T/log/said")"
    $SETUP >/dev/null
    $V6KIT status >/dev/null
    $V6KIT teardown >/dev/null
    test ! -e "$journal"
done
same "$(ip -6 route show table all proto 86)" ''
same "$(nft list tables)" ''
