# shellcheck shell=bash
$EVERYTHING --conntrack notrack --json >"$T/log/report"
same "$(jq -r '.steps[] | select(.id == "notrack").state' "$T/log/report")" changed "$(cat "$T/log/report")"
seen 5 --interface $ULA "http://[$FAR]/" >"$T/log/seen"
same "$(outside "$(part "$T/log/report")" <"$T/log/seen")" 0
# The rest of the prefix is not tracked.
curl --silent --fail --interface 2001:db8:1::77 "http://[$FAR]/" >/dev/null
if conntrack -L -f ipv6 2>/dev/null | has 2001:db8:1::77; then fail 'it is tracked'; fi
$V6KIT teardown >/dev/null
# A wider prefix whose setup keeps all of it out.
$V6KIT setup --prefix 2001:db8::/44 --dev up0 --conntrack notrack --yes --inbound allow >"$T/log/wide" 2>&1 || cat "$T/log/wide"
ends 1 $EVERYTHING --json >"$T/log/report"
same "$(jq -r .blocked_by "$T/log/report")" rotation "$(cat "$T/log/report")"
jq -e '.steps[] | select(.id == "rotation").reason | contains("2001:db8::/44 is kept out of connection tracking")' "$T/log/report"
# The other way round the part is left out.
$V6KIT teardown >/dev/null
$EVERYTHING >/dev/null
$V6KIT setup --prefix 2001:db8::/44 --dev up0 --conntrack notrack --yes --inbound allow >"$T/log/wide" 2>&1 || cat "$T/log/wide"
seen 5 --interface $ULA "http://[$FAR]/" >"$T/log/seen"
same "$(outside $P <"$T/log/seen")" 0
