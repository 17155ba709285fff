# shellcheck shell=bash disable=SC2034,SC2086,SC2154
ends 7 $LINE --nofile 1024 -- sh -c 'echo $PPID $(ulimit -Sn); $V6KIT status >&2; ls /etc/security/limits.d >&3; exit 7' \
    >"$T/log/out" 3>"$T/log/limits"
same "$(cat "$T/log/out")" "$$ 1024"
fails has v6kit <"$T/log/limits"
gone 'exit 7'
ends 127 $LINE -- no-such-program 2>"$T/log/err"
has '^why: no-such-program: ' <"$T/log/err"
gone 'a program that is not there'
ends 126 $LINE -- "$T/log/out"
gone 'a program that cannot be run'
ends 137 $LINE -- sh -c 'kill -9 $$'
gone 'kill -9'
# What was ignored stays ignored.
(trap '' HUP; ends 3 $LINE -- sh -c 'kill -HUP $$; exit 3')
gone 'an ignored signal'
# The first word is this program, wherever it lies.
same "$(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin $LINE --state-dir "$V6KIT_STATE_DIR" -- v6kit --version)" \
    "$($V6KIT --version)"
gone v6kit
