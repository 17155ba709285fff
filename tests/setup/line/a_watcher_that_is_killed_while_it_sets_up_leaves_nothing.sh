# shellcheck shell=bash disable=SC2034,SC2086,SC2154
for n in 1 2 4 7 9; do
    strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_enter=700000:when=$n -- \
        $LINE -- touch "$T/log/ran" 2>"$T/log/err" &
    eventually has_lines $n
    kill -9 $(pgrep -P $(pgrep -x v6kit -o))
    code=0
    wait $! || code=$?
    same $code 125 "$n: $(cat "$T/log/err")"
    has 'what it had begun is undone' <"$T/log/err"
    gone "write $n"
    test ! -e "$T/log/ran" || fail 'it ran'
done
