# shellcheck shell=bash disable=SC2086,SC2154
# Prints what is wider, and fails where a command printed less than it should.
narrow() {
    local least=$1 last; shift
    timeout 60 python3 "$COLUMNS_PY" "$@" >"$T/seen"
    last=$(tail -1 "$T/seen")
    [ "${last% lines}" -ge "$least" ] || { echo "$*: $last"; cat "$T/seen"; }
    sed '$d' "$T/seen" | sed "s|^|$*: |"
}
cd "$T"
LINE="setup --prefix $V6KIT_LAB_PREFIX --dev $V6KIT_LAB_DEV"
narrow 8 "$V6KIT" setup
narrow 15 "$V6KIT" $LINE --dry-run
narrow 15 "$V6KIT" $LINE
narrow 1 "$V6KIT" $LINE
narrow 12 "$V6KIT" status
narrow 8 "$V6KIT" verify
narrow 15 "$V6KIT" doctor
narrow 10 "$V6KIT" crawl "$V6KIT_LAB_TARGET/items/{1..300}" -r max -o items
narrow 8 "$V6KIT" crawl status items
narrow 10 "$V6KIT" crawl 'http://[2001:db8:80::80]:9/items/{1..30}' -r max -o refused --retries 1
narrow 3 "$V6KIT" $LINE -- true
nft flush ruleset
ip -6 route del local $V6KIT_LAB_PREFIX dev lo table main
narrow 12 "$V6KIT" status
narrow 15 "$V6KIT" doctor
narrow 5 "$V6KIT" verify
narrow 8 "$V6KIT" teardown
narrow 3 "$V6KIT" setup --prefix 2001:db8:9::/64 --dev nowhere0
narrow 3 "$V6KIT" crawl 'http://2001:db8::1/'
