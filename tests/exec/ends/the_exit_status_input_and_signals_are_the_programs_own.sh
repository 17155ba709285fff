# shellcheck shell=bash
status() { local was=0; "$@" 2>"$T/err" || was=$?; echo "$was"; }
is "$(status from -- sh -c 'exit 7')" 7
is "$(status from -- nosuch)" 127
grep -q 'hint: check its name' "$T/err"
is "$(status from -- /etc/passwd)" 126
is "$(status from -- sh -c 'kill -KILL $$')" 137
is "$(status "$V6KIT" exec --prefix nonsense -- true)" 125
is "$(status "$V6KIT" exec -- true)" 125
grep -q 'no prefix is set up' "$T/err"
is "$(status from --session a --per 3 -- true)" 125
is "$(echo typed | from -- cat)" typed
printf 'echo "script of $1"\n' > "$T/plain"; chmod +x "$T/plain"
is "$(from -- "$T/plain" mine)" "script of mine"
is "$(ulimit -Sn 64; from -- sh -c 'ulimit -Sn')" "$(ulimit -Hn)"
# A signal to it is one to the program, and one to the group of both is one.
cat > "$T/program" <<'SH'
tail -f /dev/null & n=0
trap 'n=$((n + 1)); echo $n >> $T/said' USR1; trap 'kill $!; exit 5' TERM
echo ready > $T/ready; while :; do wait; done
SH
for whom in "" -; do
    rm -f "$T/said" "$T/ready"
    setsid "$V6KIT" exec -q --prefix "$V6KIT_LAB_PREFIX" -- sh "$T/program" & front=$!
    eventually test -s "$T/ready"
    kill -USR1 -- "$whom$front"
    eventually test -s "$T/said"
    kill -TERM -- "$whom$front"
    was=0; wait "$front" || was=$?
    is "$was" 5
    is "$(cat "$T/said")" 1
done
