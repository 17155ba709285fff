# shellcheck shell=bash
look() {
    ip -o link
    lsns -n -o NS,TYPE | sort
    sort /proc/self/mountinfo
    ls -A /run/netns 2>/dev/null || true
    ls -A "$T/tmp"
    for process in /proc/[0-9]*; do
        [ "$process" = "/proc/$BASHPID" ] || tr '\0' ' ' < "$process/cmdline" 2>/dev/null || true
    done | grep -c v6kit || true
}
mkdir "$T/tmp"
export TMPDIR="$T/tmp"
look > "$T/before"
gone() {
    look > "$T/after"
    cmp -s "$T/before" "$T/after"
}
# A lab whose command has started and does not end by itself; its launcher is $!.
start() {
    mkfifo "$T/started"
    "$V6KIT" lab run -- bash -c 'echo $$ > "$T/started"; sleep infinity' &
    read -r inside < "$T/started"
}
# The kernel ends the processes of a PID namespace one after the other.
wait_until_gone() {
    eventually gone || diff "$T/before" "$T/after"
}
