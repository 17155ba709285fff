# shellcheck shell=bash
$EVERYTHING --json >"$T/log/report"
PART=$(part "$T/log/report")
same "$PART" 2001:db8:1:0:f000::/68
jq -e '.steps[] | select(.id == "rotation").after | contains("65536 addresses")' "$T/log/report"
# Either address of the client: it has a route back to one of them only.
for own in $ULA $LAN; do
    seen 20 --interface $own "http://[$FAR]/" >"$T/log/seen"
    same "$(sort -u "$T/log/seen" | wc -l)" 20
    same "$(outside "$PART" <"$T/log/seen")" 0 "$(cat "$T/log/seen")"
done
# A part of the prefix that is routed on keeps its addresses.
ip -6 route add 2001:db8:1:0:5::/80 via fd00:a::5 dev vm0
in_client ip addr add 2001:db8:1:0:5::9/128 dev eth0 nodad
same "$(seen 1 --interface 2001:db8:1:0:5::9 "http://[$FAR]/")" 2001:db8:1:0:5::9
# What is on the link of the uplink is no router's business.
same "$(seen 1 --interface $LAN "http://[$PEER]/")" $LAN
# This host itself is not meant, bound or not.
same "$(curl --silent --fail "http://[$FAR]/")" $OWN
same "$(curl --silent --fail --interface 2001:db8:1::77 "http://[$FAR]/")" 2001:db8:1::77
# A ping is answered, too.
in_client ping -6 -q -c 2 -W 5 -I $ULA $FAR
# What it costs and whom it does not help is said.
jq -e '.steps[] | select(.id == "rotation").reason | contains("tracked connection")' "$T/log/report"
jq -e '.remarks | any(contains("RFC 6724") and contains("bridged onto up0"))' "$T/log/report"
