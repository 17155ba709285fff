# shellcheck shell=bash
router v6kit-router apply
router v6kit-router check
router logger -t kernel 'nf_conntrack: nf_conntrack: table full, dropping packet'
router logger -t kernel 'neighbour: ndisc_cache: neighbor table overflow!'
echo 100 >$T/count && mount --bind $T/count $R/proc/sys/net/netfilter/nf_conntrack_count
echo 110 >$T/max && mount --bind $T/max $R/proc/sys/net/netfilter/nf_conntrack_max
code=0
router v6kit-router check --json >$T/json || code=$?
is $code 1 'exit code'
/usr/bin/python3 - $T/json <<'END'
import json, sys
status = json.load(open(sys.argv[1]))
assert status['conntrack']['full_in_log'] == 1, status
assert status['neighbours']['overflows_in_log'] == 1, status
assert status['problems'] == ['the connection table is nearly full: 100 of 110'], status
assert len(status['warnings']) == 2, status
END
