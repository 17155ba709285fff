# shellcheck shell=bash
proxy --session-key "$T/key"
ask() {
    for form in http socks5h; do get -x "$form://$1:x@$at" "$V6KIT_LAB_TARGET"; done
    get -p -x "http://$1:x@$at" "$V6KIT_LAB_TARGET"
}
one=$(ask alice-session-1 | sort -u)
rotates 1 "$one"
rotates 1 "$(ask alice-session-1-ttl-31536000 | sort -u)"
rotates 4 "$(for who in alice-session-1 alice-session-2 bob-session-1 -session-1; do ask "$who" | sort -u; done)"
stop
is "$(stat -c %a "$T/key")" 600
proxy --session-key "$T/key"
is "$(ask alice-session-1 | sort -u)" "$one"
stop
proxy
[ "$(ask alice-session-1 | sort -u)" != "$one" ]
