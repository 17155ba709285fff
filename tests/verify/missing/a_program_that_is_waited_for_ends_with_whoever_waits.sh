# shellcheck shell=bash
set_up
nft add table ip6 guard
nft "add chain ip6 guard out { type filter hook output priority 0; }"
nft add rule ip6 guard out ip6 saddr "$V6KIT_LAB_PREFIX" drop
has_ended() { ! kill -0 "$1" 2>/dev/null; }
for signal in INT KILL; do
    rm -f "$T/nft.pid"
    # A shell gives what it starts in the background a deaf ear for INT.
    PATH=$T/bin:$PATH setsid env --default-signal=INT "$V6KIT" verify --prefix "$V6KIT_LAB_PREFIX" \
        --endpoint "$V6KIT_LAB_TARGET" --timeout 1s >"$T/verify" 2>&1 &
    verify=$!
    eventually test -s "$T/nft.pid"
    nft=$(<"$T/nft.pid")
    kill -0 "$nft"
    kill -$signal $verify
    wait $verify || true
    eventually has_ended "$nft"
    echo "$signal: both are gone"
done
