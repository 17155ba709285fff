# shellcheck shell=bash
start_site '[::]'
# A destination of another address each, all of the same site.
for n in $(seq 2 9); do ip addr add 2001:db8:80::$n/128 dev lo nodad; done
for n in $(seq 400); do echo "http://[2001:db8:80::$((n % 8 + 2))]:8080/$n"; done >"$T/list"
work=(-i "$T/list" -r 20/s --retries 0 --connect-timeout 500ms --max-outage 1s)
{ crawl jobs "${work[@]}"; echo $exit; } >"$T/code" &
crawl=$!
until_said "$T/asked" /40
silence
wait $crawl
cat "$T/code"
grep -cE 'stopped: no answer from any of [0-9]+ destinations, .* since .* UTC; whether .* is not known' "$T/jobs.err"
if grep willing "$T/jobs.err"; then exit 9; fi
# Whoever was answered before the silence knows that it is one, whoever starts in the middle of it.
crawl jobs "${work[@]}"
echo "$exit, $(jq .run.transient "$T/jobs.json") failed"
unsilence
crawl jobs "${work[@]}"
echo $exit
