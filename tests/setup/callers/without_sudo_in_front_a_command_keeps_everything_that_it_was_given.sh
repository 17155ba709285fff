# shellcheck shell=bash disable=SC2034,SC2086,SC2154
same "$(alice "export FOO=bar HOME=/elsewhere; exec 5<<<'a descriptor'; $LINE -- bash -c 'id -Gn; echo \$FOO \$HOME; cat <&5'")" \
    $'alice friends\nbar /elsewhere\na descriptor'
gone 'no sudo in front'
# Whoever is given no root is told, and the command does not run.
echo 'root ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers
code=0
alice "$LINE -- echo ran" >"$T/out" 2>"$T/err" </dev/null || code=$?
same "$code $(cat "$T/out")" '125 '
grep -q '^why: sudo gave no root' "$T/err"
gone 'no root'
