# Sourced by the tests of exec, on the host side of the lab: delivers the prefix here, and runs programs from it.

ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo
net=${V6KIT_LAB_PREFIX%::*}
target=${V6KIT_LAB_TARGET#http://}

# Runs a program from the prefix.
from() { "$V6KIT" exec --prefix "$V6KIT_LAB_PREFIX" "$@"; }

# Fails the test, saying what was expected.
is() { # what, wanted
    [ "$1" = "$2" ] || { echo "expected: $2"; echo "found:    $1"; exit 1; } >&2
}

# Whether lines are that many different addresses of the prefix.
rotates() { # count, lines
    is "$(grep -c "^$net:" <<<"$2")" "$1"
    is "$(sort -u <<<"$2" | wc -l)" "$1"
}

# Starts a UDP server behind the router, at $udp, that answers who asked.
udp_echo() {
    coproc UDP { exec nsenter --net="$V6KIT_LAB_TARGET_NS" python3 "$TESTS/exec/udp_echo.py"; }
    read -r _ <&"${UDP[0]}"
    export udp=2001:db8:80::80 udp_port=7007
}
