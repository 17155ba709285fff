# shellcheck shell=bash
for format in ndjson parquet; do
    "$V6KIT" crawl --robots ignore "$odd/0" -o "$T/headers-$format" --format $format --store body,headers --keep-free 0 -q
    "$V6KIT" crawl --robots ignore "$odd/0" -o "$T/fields-$format" --format $format --extract a.b.1,c,x --keep-free 0 -q
    "$V6KIT" crawl --robots ignore "$odd/0" -o "$T/meta-$format" --format $format --store meta --keep-free 0 -q
    "$V6KIT" crawl cat "$T/headers-$format" | jq -c '[.headers."x-twice", .headers."content-type", .body.a.b[0]]'
    "$V6KIT" crawl cat "$T/fields-$format" | jq -c .body
    "$V6KIT" crawl cat "$T/meta-$format" | jq -c '[has("body"), has("headers"), .status]'
done
for format in ndjson parquet; do
    for store in "" "--store body" "--store body,headers" "--store meta"; do
        rm -rf "$T/failed"
        "$V6KIT" crawl --robots ignore "$odd/0" -o "$T/failed" --format $format $store --expect status=404 \
            --max-error-rate 100% --retries 0 --keep-free 0 -q && exit 9
        "$V6KIT" crawl cat "$T/failed" | jq -c '[.outcome, .error.kind != null, .body.a.b[0]]' >>"$T/failures"
    done
done
for refused in "--format warc --store meta" "--format warc --extract a" "--store meta --extract a"; do
    if "$V6KIT" crawl --robots ignore "$odd/0" -o "$T/refused" $refused; then exit 9; else [ $? = 2 ]; fi
done
kill $ODD_PID
