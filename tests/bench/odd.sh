#!/usr/bin/env bash
# What a server can cost: a head of 64 KB in segments of one byte, and a thousand bodies of 1 MB before small ones.
#
#   tests/bench/odd.sh    V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need python3 jq
ulimit -n "$(ulimit -Hn)"

taskset -c "$server_core" python3 "$repository/tests/bench/odd.py" > "$work/port" &
server=$!
trap 'kill $server; rm -rf "$work"' EXIT
eventually test -s "$work/port"
url=http://[::1]:$(< "$work/port")
# In the background, where it is the process that is waited for and looked at.
crawl() { exec "$v6kit" crawl "$@" --prefix 2001:db8:7::/64 --threads 1 --robots ignore --keep-free 0 --json; }

for path in whole bytewise; do
    used=$(cpu "$v6kit" crawl "$url/$path" -o "$work/$path" --prefix 2001:db8:7::/64 --threads 1 --robots ignore \
        --keep-free 0 --json)
    [[ $(jq .ok "$work/out") == 1 ]] || fail "no answer: $(cat "$work/out")"
    echo "a head of 64 KB, $path: $used s of CPU"
done

# The largest memory while a million bytes are in each of 1,000 slots does not matter: what is left of it does.
crawl "$url/{large,small}/{1..1000}" -o "$work/first" -r max -c 1000 > "$work/out" 2> "$work/err" & crawler=$!
wait $crawler || fail "$(cat "$work/err")"
[[ $(jq .ok "$work/out") == 2000 ]] || fail "items were lost: $(cat "$work/out")"
for kind in small large; do
    # Behind the first thousand come small ones at 100/s, until the memory has been looked at for a while.
    crawl "$url/$kind/{1..1000}" "$url/small/{1..100000}" -o "$work/$kind" -r max -c 1000 --store meta \
        > "$work/out" 2> "$work/err" & crawler=$!
    most=0
    began=$SECONDS
    for _ in $(seq 100); do
        pause 0.05
        rss=$(awk '/VmRSS/ { print $2 }' "/proc/$crawler/status" 2>/dev/null || true)
        [[ -n $rss ]] || break
        ((rss > most)) && most=$rss
        last=$rss
    done
    echo "1,000 $kind ones, then small ones: at most $((most / 1024)) MiB, $((last / 1024)) MiB after $((SECONDS - began)) s"
    kill $crawler 2>/dev/null || true
    wait $crawler || true
done
