# shellcheck shell=bash
snapshot >"$T/log/before"
ip -6 route del default
printf 'table inet guard {\n%s\n}\n' "${CHAIN}" | nft -f -
code=0
$SETUP --conntrack notrack --json >"$T/log/report" || code=$?
same "$(state)" ${FOUND}
case ${FOUND} in
    conflict)
        same $code 1
        reason | has 'untracked, this host does not answer itself by lo; tracked, it does: taken back'
        nft list table inet v6kit | fails has notrack ;;
    changed)
        same $code 0
        reason | has 'not tried, as no default gateway answers' ;;
esac
$V6KIT status
$V6KIT teardown
nft delete table inet guard
ip -6 route add default via $PEER
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
