# shellcheck shell=bash disable=SC2034,SC2086,SC2154
for wrong in "--perfix $P" "--prefix $P --dev nope0" "--prefix $P --dev up0 --json --as no-such-user" \
    "--prefix $P --dev up0 --persist" '--prefix x'; do
    ends 125 $V6KIT setup $wrong -- touch "$T/log/ran" >"$T/log/out" 2>"$T/log/err"
    same "$(cat "$T/log/out")" '' "$wrong"
    has '^error: ' <"$T/log/err"
    test ! -e "$T/log/ran" || fail "ran after $wrong"
done
ends 2 $V6KIT setup --prefix $P --as root 2>"$T/log/err"
has 'for a command, and none is given' <"$T/log/err"
gone 'nothing'
