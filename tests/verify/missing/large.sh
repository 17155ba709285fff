# shellcheck shell=bash
large() {
    mkfifo "$T/ready"
    in_target python3 "$TESTS/verify/missing/large_server.py" "$T/ready" &
    trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
    : < "$T/ready"
}
