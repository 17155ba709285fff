# shellcheck shell=bash
crawl() { "$V6KIT" crawl -i "$T/list" -o "$job" -r max --keep-free 0 --unique --json "$@"; }
for item in 1 2 2 3 1; do echo "$url/items/$item"; done >"$T/list"
crawl >"$T/first"
printf '%s\n' "$url/items/3" "$url/items/4" >>"$T/list"
crawl >/dev/null 2>"$T/refused" && exit 9
crawl --append | jq -c '[.resumed, .run.ok, .complete, .total]'
# The copy of the list has grown as well, and so has what is missing.
rm "$T/list"
"$V6KIT" crawl missing "$job" | wc -l
"$V6KIT" crawl cat "$job" | jq .body.id | sort | tr '\n' ' '
# Another list is no grown one, and a shuffled order cannot grow.
echo "$url/items/5" >"$T/list"
crawl --append >/dev/null 2>"$T/another" && exit 9
seq 5 | "$V6KIT" crawl "$url/items/{}" - -o "$T/shuffled" -r max --keep-free 0 -q --order shuffle
seq 6 | "$V6KIT" crawl "$url/items/{}" - -o "$T/shuffled" -r max -q --order shuffle --append && exit 9
true
