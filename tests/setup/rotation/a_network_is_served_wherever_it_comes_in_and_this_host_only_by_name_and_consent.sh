# shellcheck shell=bash
$SETUP --for everything --from fd00:a::/64 --from 2001:db8:ffff::/64 --json >"$T/log/report"
seen 5 --interface $ULA "http://[$FAR]/" >"$T/log/seen"
same "$(sort -u "$T/log/seen" | wc -l)" 5
same "$(outside $P <"$T/log/seen")" 0
# Others keep their address, and so does this host, though its address is in a network that is named.
same "$(seen 1 --interface $LAN "http://[$FAR]/")" $LAN
same "$(curl --silent --fail "http://[$FAR]/")" $OWN
# Consent.
ends 1 $SETUP --for everything --from lo --json >"$T/log/report"
same "$(jq -r .blocked_by "$T/log/report")" rotation
jq -e '.steps[] | select(.id == "rotation") | (.reason | contains("mail")) and (.hint | contains("--yes"))' "$T/log/report"
# A connection from before goes on with its address.
in_peer socat "TCP6-LISTEN:7,bind=[$FAR]" 'SYSTEM:read -r asked; echo "$asked $SOCAT_PEERADDR"' &
listens() { in_peer ss -Hltn | has -F "[$FAR]:7"; }
eventually listens
exec {BEFORE}<>/dev/tcp/$FAR/7
$SETUP --for everything --from lo --yes
for _ in 1 2 3 4 5; do curl --silent --fail "http://[$FAR]/"; done >"$T/log/seen"
same "$(sort -u "$T/log/seen" | wc -l)" 5
same "$(outside $P <"$T/log/seen")" 0
echo still >&$BEFORE
read -r answered <&$BEFORE
same "$answered" "still [2001:0db8:ffff:0000:0000:0000:0000:0002]"
# What binds its own address of the prefix keeps it, and the link stays as it is.
same "$(curl --silent --fail --interface 2001:db8:1::77 "http://[$FAR]/")" 2001:db8:1::77
same "$(curl --silent --fail "http://[$PEER]/")" $OWN
