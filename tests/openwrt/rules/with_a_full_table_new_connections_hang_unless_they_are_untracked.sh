# shellcheck shell=bash
settings 'set v6kit-router.main.notrack=0'
router v6kit-router apply
max=$(cat /proc/sys/net/netfilter/nf_conntrack_max)
awk -v max=$max 'BEGIN {
    for (i = 0; i < max; i++) {
        a = sprintf("2001:db8:77::%x:%x", i / 65536, i % 65536)
        print "-A -t 10000 -u SEEN_REPLY,ASSURED -s " a " -d 2001:db8:78::1 -r 2001:db8:78::1 -q " a " -p tcp --sport 1 --dport 2 --reply-port-src 2 --reply-port-dst 1 --state ESTABLISHED"
    }
}' >$T/connections
# The last ones find no room.
conntrack -R $T/connections >/dev/null 2>&1 || true
is $(entries) $max 'entries'
is $(exchanges tcp 20 3) 0 'exchanges through a full table'
not router v6kit-router check >$T/out
says "$(cat $T/out)" "problem: the connection table is nearly full: "

settings 'set v6kit-router.main.notrack=1'
router v6kit-router apply
is $(exchanges tcp 50000) 50000 'exchanges beside a full table'
