# shellcheck shell=bash disable=SC2034,SC2086,SC2154
for n in 1 3 6 9; do
    strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_enter=700000:when=$n -- \
        $LINE -- touch "$T/log/ran" 2>/dev/null &
    eventually has_lines $n
    kill -9 $(pgrep -f -- '--plain -- touch' | while read -r pid; do
        readlink /proc/$pid/exe | has strace || echo $pid
    done)
    wait $! || true
    gone "kill after $n lines"
    test ! -e "$T/log/ran" || fail "it ran"
done
