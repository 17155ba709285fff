# shellcheck shell=bash
proxy --handshake-timeout 500ms
cp "$TESTS/proxy/bytes/noise.py" "$T/noise.py"
rotates 1 "$(get -x "http://$at" "$V6KIT_LAB_TARGET")"
before=$(ls "/proc/$pid/fd" | wc -l)
timeout 300 python3 "$T/noise.py" "$at" >&2
rotates 1 "$(get -x "http://$at" "$V6KIT_LAB_TARGET")"
closed() { after=$(ls "/proc/$pid/fd" | wc -l); [ "$after" -le "$before" ]; }
eventually closed || { echo "descriptors: $before before, $after after" >&2; exit 1; }
grep -q panicked "$T/proxy.err" && exit 1
stop
