# shellcheck shell=bash
slow() {
    mkfifo "$T/ready"
    in_target python3 "$TESTS/verify/missing/slow_server.py" "$1" "$T/ready" &
    : < "$T/ready"
    V6KIT_LAB_TARGET="http://[2001:db8:80::80]:$1"
}
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
