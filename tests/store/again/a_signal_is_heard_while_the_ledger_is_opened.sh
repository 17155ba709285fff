# shellcheck shell=bash
unset LD_LIBRARY_PATH
crawl=("$V6KIT" crawl "$url/items/{1..3}" -o "$job" -r max --keep-free 0 -q)
"${crawl[@]}"
# The ledger is as slow as one of many gigabytes: a minute for each look at it.
strace -D -f -qq -P "$job/ledger.sqlite" -o "$T/trace" -e trace=openat,pread64 \
    -e inject=openat:delay_exit=60000000 "${crawl[@]}" 2>"$T/said" & pid=$!
until grep -q ledger "$T/trace" 2>/dev/null && listens $pid; do :; done
tracer=$(sed -n 's/^TracerPid:\t//p' "/proc/$pid/status")
kill -TERM $pid
# What is said now is said while the ledger is looked at; the minute itself is not waited for.
until [ -s "$T/said" ] || ! kill -0 $tracer; do :; done
# It is said while the ledger is opened: it was not read.
grep pread64 "$T/trace" && exit 1
kill -KILL $tracer || true
wait $pid || echo $?
cat "$T/said"
