# shellcheck shell=bash
start_site
work=("http://[::1]:8080/{1..300}" --prefix 2001:db8:6::/64 -r 200/s --retries 0 --connect-timeout 300ms)
# Before the first connection.
crawl jobs "${work[@]}"
echo "$exit $(test -s "$T/asked" || echo nobody was asked)"
grep '^hint:' "$T/jobs.err"
ip -6 route add local 2001:db8:6::/64 dev lo
{ crawl jobs "${work[@]}" --max-outage 1s; echo $exit; } >"$T/code" &
crawl=$!
until_said "$T/asked" /40
ip -6 route del local 2001:db8:6::/64 dev lo
wait $crawl
cat "$T/code"
grep -q 'stopped: 2001:db8:6::/64 is not delivered to this host any more' "$T/jobs.err"
if grep willing "$T/jobs.err"; then exit 9; fi
cp "$T/jobs.json" "$T/ended.json"
ip -6 route add local 2001:db8:6::/64 dev lo
crawl jobs "${work[@]}"
echo $exit
