# shellcheck shell=bash
alone doctor --json
target
crawls_100_items
# This one is built without default features: what needs one names it.
alone crawl 'http://[::1]:8080/items/{1..9}' -o /tables --format parquet >"$T/said" 2>&1 && exit 1
[ $? = 2 ]
grep -q '^why: .*lacks the feature `parquet`' "$T/said"
grep -q '^hint: .*default features' "$T/said"
test ! -e "$ROOT/tables"
"$V6KIT" crawl 'http://[::1]:8080/items/{1..9}' -o "$ROOT/tables" --format parquet -r max --quiet --keep-free 1M
alone crawl status /tables >/dev/null
for reading in 'cat /tables' 'check /tables --repair' 'retry /tables'; do
    alone crawl $reading >"$T/said" 2>&1 && exit 1
    [ $? = 2 ]
    grep -q '/tables holds parquet records' "$T/said"
done
[ "$("$V6KIT" crawl cat "$ROOT/tables" | wc -l)" = 9 ]
