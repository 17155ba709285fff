# shellcheck shell=bash disable=SC2154 # the caller has set them
crawl -r max -o "$job"
begun "$T/other"
kill -KILL "$pid"
wait "$pid" || true
segment=$(echo "$job"/000001.*)
cp "$segment" "$T/before"
rm "$job"/ledger.sqlite*
cp "$T"/other/ledger.sqlite* "$job"
for command in "crawl resume" "crawl retry --outcome ok" "crawl retry --no-run"; do
    code=0
    # shellcheck disable=SC2086 # words of a command
    "$V6KIT" $command "$job" >/dev/null 2>>"$T/said" || code=$?
    echo $code
    cmp "$segment" "$T/before"
done
crawl -r max -o "$job" 2>>"$T/said" && exit 9
cmp "$segment" "$T/before"
"$V6KIT" crawl check "$job" --repair >/dev/null
cmp "$segment.aside" "$T/before"
crawl -r max -o "$job"
