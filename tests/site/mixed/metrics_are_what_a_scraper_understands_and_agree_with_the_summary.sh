# shellcheck shell=bash
ip -6 route add local 2001:db8:6::/56 dev lo
exec {out}< <(exec "$V6KIT" echo --json --listen '[::1]:0')
read -r started <&"$out"
url=http://[::1]:$(sed -E 's/.*"listening":\["[^"]*:([0-9]+)".*/\1/' <<<"$started")
# The last item never comes: the counters are read when everything else has.
site mute mute; mute=$url
url=http://[::1]:$(sed -E 's/.*"listening":\["[^"]*:([0-9]+)".*/\1/' <<<"$started")
for n in $(seq 400); do echo "$url/items/$n"; done > "$T/list"
for n in 1 2 3; do echo "$url/nothing/$n"; done >> "$T/list"
echo "nonsense" >> "$T/list"
echo "$mute/" >> "$T/list"
"$V6KIT" crawl -i "$T/list" -o "$T/job" --prefix 2001:db8:6::/56 --robots ignore --threads 2 -r 2000/s \
    --metrics 0 --timeout 100s 2>"$T/err" & crawl=$!
counters() { at=$(sed -n 's|^.*counters at \(http://[^ ]*\).*|\1|p' "$T/err"); [ -n "$at" ]; }
eventually counters
"$PYTHON" "$TESTS/site/mixed/scraper.py" "$at"
eventually terminated "$crawl"; wait "$crawl" || true
"$V6KIT" crawl "$url/items/{1..3}" -o "$T/open" --robots ignore --metrics '[::]:0' 2>&1
