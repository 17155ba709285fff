# shellcheck shell=bash
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
$V6KIT crawl 'http://[::1]:9/{1..3}' -o "$ODD/job" -r max --retries 0 --keep-free 1M -q >/dev/null 2>&1 || true
rm "$ODD"/job/segment* 2>/dev/null || rm "$ODD"/job/*.zst
$V6KIT crawl check "$ODD/job" >"$T/log/said" 2>&1 || true
if has 'crawl check' "$T/log/said"; then
    sed -n 's/^[^`]*`v6kit\( .*\)` opens.*/"$V6KIT"\1/p; s/^[^`]*`v6kit\( crawl check .*\)`.*/"$V6KIT"\1/p' "$T/log/said" | head -1 >"$T/log/command"
    test -s "$T/log/command" || fail "$(cat "$T/log/said")"
    bash "$T/log/command" >"$T/log/repaired" 2>&1 || code=$?
    if has 'unexpected argument' "$T/log/repaired"; then fail "$(cat "$T/log/command")"; fi
fi
test ! -e "$T/log/x" -a ! -e x
