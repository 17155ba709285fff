# shellcheck shell=bash
mkdir "$T/here"
cd "$T/here"
printf 'n={}' >body.txt
cat >job.toml <<TOML
url = ["$guard/{1..5}"]
output = "$job"
data = "@body.txt"
fill = true
header = ["X-Page: p", "X-Auth-Token: old"]
max-error-rate = "100%"
robots = "ignore"
TOML
"$V6KIT" crawl --job job.toml --keep-free 0 -q && exit 9
rm job.toml
cd /
left() { "$V6KIT" crawl status --json "$job" | jq .left; }
# The stored token is not known, and nothing is opened.
"$V6KIT" crawl retry "$job" --outcome fatal 2>"$T/refused" && exit 9
left
# Nor where the job would be another, or the options are none.
"$V6KIT" crawl retry "$job" --outcome fatal -- -H 'X-Auth-Token: A' -X PUT 2>/dev/null && exit 9
"$V6KIT" crawl retry "$job" --outcome fatal -- --no-such-option 2>/dev/null && exit 9
left
"$V6KIT" crawl retry "$job" --outcome fatal -- -H 'x-auth-token: A' >/dev/null 2>"$T/said" || cat "$T/said" >&2
"$V6KIT" crawl cat "$job" --outcome ok | jq -c '[.body.body, .body.page]' | sort
