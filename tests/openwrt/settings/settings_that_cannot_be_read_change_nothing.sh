# shellcheck shell=bash
router v6kit-router apply
damage
before=$(disk; ip -6 route; nft -s list ruleset)
fails() { local code=0; "${@:2}" 2>>$T/err >>$T/out || code=$?; is $code $1 "exit code of ${*:2}"; }
fails 2 router v6kit-router plan
fails 2 router v6kit-router apply
fails 2 router v6kit-router event wan6
fails 2 router /etc/init.d/v6kit-router start
fails 2 router /etc/init.d/v6kit-router restart
fails 2 router /etc/init.d/v6kit-router reload
fails 1 router /etc/init.d/v6kit-router status
is "$(disk; ip -6 route; nft -s list ruleset)" "$before" 'the router'
has_route $PREFIX
says "$(cat $T/err)" '/etc/config/v6kit-router '
says "$(cat $T/out)" 'problem: /etc/config/v6kit-router '
# Out of service it can be taken all the same.
router v6kit-router remove
not has_route $PREFIX
