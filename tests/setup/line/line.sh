# shellcheck shell=bash disable=SC2034,SC2086,SC2154
LINE="$SETUP --no-verify --plain"
snapshot >"$T/log/before"
is_gone() { [ ! -e "$V6KIT_STATE_DIR" ]; }
gone() {
    eventually is_gone || fail "still set up after $*: $(cat "$V6KIT_STATE_DIR/journal.jsonl")"
    snapshot >"$T/log/after"
    diff "$T/log/before" "$T/log/after" || fail "residue after $*"
}
# The watcher of the only line.
watcher() { pgrep -x v6kit; }
are_watching() { [ "$(watcher | wc -l)" = "$1" ]; }
# Lines that the journal has.
has_lines() { [ -e "$V6KIT_STATE_DIR/journal.jsonl" ] && [ "$(wc -l <"$V6KIT_STATE_DIR/journal.jsonl")" -ge "$1" ]; }
# Whether a process runs a program.
is_running() { has "^$2" <"/proc/$1/comm"; }
# Whether what a file holds matches.
says() { has "$1" <"$2"; }
