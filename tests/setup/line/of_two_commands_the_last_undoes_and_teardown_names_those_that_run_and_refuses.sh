# shellcheck shell=bash disable=SC2034,SC2086,SC2154
mkfifo "$T/log/a" "$T/log/b"
$LINE -- cat "$T/log/a" 2>/dev/null &
first=$!
eventually is_running $first cat
exec 8>"$T/log/a"
$LINE --conntrack notrack -- cat "$T/log/b" 2>"$T/log/second" 8>&- &
second=$!
exec 9>"$T/log/b"
has 'is set up for another command' <"$T/log/second"
# What differs is named and left.
has '^warning: notrack ' <"$T/log/second"
ends 1 $V6KIT teardown 2>"$T/log/err"
has "in use by cat (pid $first)" <"$T/log/err"
has "cat (pid $second)" <"$T/log/err"
exec 8>&-
wait $first
eventually are_watching 1
$V6KIT status | has "cat (pid $second)"
# A setup without a command makes it lasting.
$SETUP >/dev/null
exec 9>&-
wait $second
eventually are_watching 0
$V6KIT status | has 'Everything is in order'
$V6KIT teardown
gone 'two'
