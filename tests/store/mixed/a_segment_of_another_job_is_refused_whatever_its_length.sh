# shellcheck shell=bash disable=SC2154 # the caller has set them
crawl -r max -o "$job"
"$V6KIT" crawl "$url/items/{1..20001}" -r max --threads 1 --format parquet -o "$T/longer" --keep-free 0 -q
segment=$(echo "$job"/*.parquet)
cp "$T"/longer/*.parquet "$segment"
truncate -s $(($(stat -c %s "$segment") + 100000)) "$segment"
cp "$segment" "$T/before"
# What another program has begun to write there.
echo precious >"$job/000001.parquet.part"
code=0
crawl -r max -o "$job" 2>"$T/said" || code=$?
echo $code
cmp "$segment" "$T/before"
"$V6KIT" crawl check "$job" --repair >/dev/null
cmp "$segment.aside" "$T/before"
crawl -r max -o "$job"
cat "$job/000001.parquet.part"
