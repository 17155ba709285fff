# shellcheck shell=bash
STRANGER=2001:db8:ffff::66
in_peer ip addr add $STRANGER/64 dev down0 nodad
until in_peer bash -c "is_usable $STRANGER down0"; do :; done
$SETUP --for proxy
started in_peer python3 "$T/log/server.py" $PEER $STRANGER
"$V6KIT" proxy --json --listen 127.0.0.1:0 >"$T/log/ready" &
proxy=$!
eventually test -s "$T/log/ready"
at=$(jq -r '.listening[0]' "$T/log/ready")
source=$(python3 "$T/log/client.py" "$at" $PEER)
[[ $source == 2001:db8:1:0:* ]] || fail "the datagrams came from $source"
# Services on every address of the host are reached at its own one only, whatever the protocol.
reaches $OWN
fails reaches $A
fails reaches "$source"
listen service ::
service=$!
send $A closed
send "$source" closed
send $OWN open
wait $service
same "$(cat "$T/log/service")" open
kill $proxy
wait $proxy
$V6KIT teardown
