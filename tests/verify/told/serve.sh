# shellcheck shell=bash
serve() {
    mkfifo "$T/ready.$1"
    in_target python3 "$TESTS/verify/told/server.py" "$1" "$2" "$T/ready.$1" &
    : < "$T/ready.$1"
    V6KIT_LAB_TARGET="http://[2001:db8:80::80]:$1"
}
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
