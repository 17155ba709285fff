# shellcheck shell=bash disable=SC2034,SC2086,SC2154
mkfifo "$T/log/fifo"
# A daemon: of another session and parent, without the descriptors that it was given.
$LINE -- sh -c 'setsid cat "$T/log/fifo" >/dev/null 2>&1 & exit 4' 2>"$T/log/err" && fail 'no 4' || same $? 4
eventually says 'still runs: .* stays set up' "$T/log/err"
eventually quietly pgrep -x cat
ends 1 $V6KIT teardown 2>"$T/log/err"
has 'in use by cat (pid' <"$T/log/err"
: >"$T/log/fifo"
gone 'a daemon'
