# shellcheck shell=bash
A=2001:db8:1::a:b:c
sysctl -qw net.ipv6.ip_nonlocal_bind=1
for purpose in crawl proxy; do
    $SETUP --for $purpose
    # A service on every address hears nothing that is sent to the prefix.
    listen service-$purpose ::
    service=$!
    send $A closed
    send $OWN open
    wait $service
    same "$(cat "$T/log/service-$purpose")" open
    # A socket bound to an address of the prefix hears its answers: a relay's, or that of a client of QUIC.
    listen bound-$purpose $A
    bound=$!
    send $A answer
    wait $bound
    same "$(cat "$T/log/bound-$purpose")" answer
    # All of one that is larger than a packet: later fragments show no ports.
    listen large-$purpose $A
    bound=$!
    send $A "$(printf '%05000d' 7)"
    wait $bound
    same "$(wc -c <"$T/log/large-$purpose")" 5000
done
