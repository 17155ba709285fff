# shellcheck shell=bash
# Sites, and what is wrong with the way to them.

# Waits until a line is in a file, for a minute at most.
until_said() { # file, pattern
    eventually grep -qs -- "$2" "$1" || { cat "$1" >&2; return 1; }
}
# A site without persistent connections, which logs to $T/asked.
start_site() { # address
    start_nginx 'server { listen '"${1:-[::1]}"':8080; access_log '"$T"'/asked plain; keepalive_timeout 0;
        location / { return 200 "x"; } }'
}

# Drops what comes to the site from some, without a word, and stops doing so.
silence() { # rule
    nft -f - <<RULES
table ip6 silence {
chain in {
    type filter hook input priority 0;
    tcp dport 8080 ${1-} drop
}
}
RULES
}
unsilence() { nft delete table ip6 silence; }
