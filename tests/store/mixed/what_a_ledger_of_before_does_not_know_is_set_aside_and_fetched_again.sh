# shellcheck shell=bash disable=SC2154 # the caller has set them
begun "$job"
python3 - "$job/ledger.sqlite" "$T/backup" <<'PYTHON'
import sqlite3, sys
sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))
PYTHON
wait "$pid"
segment=$(echo "$job"/000001.*)
cp "$segment" "$T/before"
rm "$job"/ledger.sqlite*
cp "$T/backup" "$job/ledger.sqlite"
crawl -r max -o "$job" 2>"$T/said"
cat "$segment" "$segment.aside" | cmp - "$T/before"
grep -q "is set aside as $segment.aside, and its items are fetched again" "$T/said"
