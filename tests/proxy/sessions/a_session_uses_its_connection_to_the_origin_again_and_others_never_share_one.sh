# shellcheck shell=bash
# Counts connections: the port that the origin sees.
cp "$TESTS/proxy/sessions/origin.py" "$T/origin.py"
mkfifo "$T/origin"
python3 "$T/origin.py" > "$T/origin" &
read -r port < "$T/origin"
proxy --allow-destination ::1 --threads 1
url="http://[::1]:$port/"
is "$(for _ in 1 2 3; do get -x "http://a-session-1:x@$at" "$url"; done | sort -u | wc -l)" 1
is "$(for _ in 1 2 3; do get -x "http://a:x@$at" "$url" "$url"; done | sort -u | wc -l)" 6
is "$(for id in 1 2 3; do get -x "http://b-session-$id:x@$at" "$url"; done | sort -u | wc -l)" 3
kill %1
