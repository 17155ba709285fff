# shellcheck shell=bash disable=SC2034,SC2086,SC2154
same "$(SUDO_UID=2001 SUDO_GID=2001 SUDO_USER=alice DOAS_USER=alice PKEXEC_UID=2001 $LINE -- id -un 2>"$T/err")" root
grep -q 'runs as root' "$T/err"
gone 'a root shell'
same "$(alice "sudo bash -c '$LINE -- id -un; true'")" root
gone 'a root shell of sudo'
same "$(setsid $LINE --as alice -- bash -c "$WHO" </dev/null)" "$HERS"
gone 'as alice'
for none in 4294967295 -1 3999 nobody-there; do
    code=0
    $LINE "--as=$none" -- echo ran >"$T/out" 2>"$T/err" || code=$?
    same "$code $(cat "$T/out")" '125 '
    grep -q "there is no account .$none" "$T/err"
done
code=0
alice "$LINE --as root -- echo ran" >"$T/out" 2>"$T/err" || code=$?
same "$code $(cat "$T/out")" '125 '
