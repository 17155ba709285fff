# shellcheck shell=bash
OWN="$T/own/of mine"
mkdir "$T/own"
v6kit setup --prefix $P --dev up0 --state-dir "$OWN" >"$T/log"
ip -6 route del local $P dev lo table main
# Said by option: what names the setup that is missing mends this one, and makes no second one.
for command in doctor "verify --endpoint http://[2001:db8:ffff::1]/"; do
    code=0
    v6kit $command --state-dir "$OWN" >"$T/log" 2>&1 || code=$?
    test $code = 1 || fail "$command: $code: $(cat "$T/log")"
    follow "$T/log"
    v6kit status --state-dir "$OWN" >"$T/log" || fail "$command: $(cat "$T/log")"
    test ! -e /var/lib/v6kit || fail 'a second setup'
    ip -6 route del local $P dev lo table main
done
# Said by the environment, which sudo keeps to itself.
V6KIT_STATE_DIR="$OWN" v6kit setup --prefix $P --dev up0 >"$T/log"
grep -oE 'Undo: .*' "$T/log" >"$T/undo"
follow "$T/undo"
test ! -e "$OWN" || fail "$(cat "$T/undo")"
test ! -e /var/lib/v6kit
test $followed -ge 4 || fail "only $followed commands"
