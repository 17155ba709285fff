# shellcheck shell=bash
mkfifo "$T/origin"
nsenter --net="$V6KIT_LAB_TARGET_NS" python3 "$TESTS/proxy/sessions/refusing.py" 2001:db8:80::80 >"$T/origin" &
read -r port <"$T/origin"
url="http://[2001:db8:80::80]:$port"
ask() { get -x "http://$1:x@$at" "${@:2}"; }
