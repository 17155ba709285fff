# shellcheck shell=bash
$EVERYTHING >/dev/null
read -r split sources same_again < <(python3 "$T/log/flows.py" $PEER_PID $CLIENT_PID $FAR 300 $$)
same "$split" 0
test "$sources" -ge 290 || fail "only $sources addresses"
same "$same_again" True
