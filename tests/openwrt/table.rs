//! The size of the connection table, and what `check` sees in the router's tables.

use super::{READY, on_router};

/// Puts files in the place of RAM and the connection table, whose size only the first network namespace may
/// set.
const TABLE: &str = "
    table() {
        echo \"MemTotal: $1 kB\" >$T/meminfo
        for name in nf_conntrack_max nf_conntrack_buckets; do echo $2 >$T/$name; done
    }
    table 121000 15360
    mount --bind $T/meminfo $R/proc/meminfo
    for name in nf_conntrack_max nf_conntrack_buckets; do
        mount --bind $T/$name $R/proc/sys/net/netfilter/$name
    done
    settings 'set v6kit-router.main.conntrack=auto'
";

#[test]
fn the_connection_table_is_sized_by_memory_and_only_raised() {
    on_router(&format!(
        "{READY} {TABLE}
        router v6kit-router apply
        is $(cat $T/nf_conntrack_max) 32768 'on 128 MiB'
        is $(cat $T/nf_conntrack_buckets) 32768 'buckets'
        grep -qx net.netfilter.nf_conntrack_max=32768 $R/etc/sysctl.d/12-v6kit-router.conf
        before=$(disk)
        router v6kit-router apply
        is \"$(disk)\" \"$before\" 'the disk after a second time'

        # Somebody raises it further: it stays.
        echo 50000 >$T/nf_conntrack_max
        router v6kit-router apply
        is $(cat $T/nf_conntrack_max) 50000 'raised by somebody'

        # A larger size in another file makes ours superfluous.
        echo 'net.netfilter.nf_conntrack_max = 100000' >$R/etc/sysctl.d/99-mine.conf
        router v6kit-router apply
        [ ! -e $R/etc/sysctl.d/12-v6kit-router.conf ]
        rm $R/etc/sysctl.d/99-mine.conf

        router v6kit-router remove
        is $(cat $T/nf_conntrack_max) 50000 'never lowered under somebody'
        is $(cat $T/nf_conntrack_buckets) 15360 'put back'
        [ ! -e $R/etc/sysctl.d/12-v6kit-router.conf ]
        "
    ))
    .expect(0);
}

#[test]
fn a_table_that_is_large_enough_is_left_alone() {
    on_router(&format!(
        "{READY} {TABLE}
        table 250000 65536
        router v6kit-router apply
        [ ! -e $R/etc/sysctl.d/12-v6kit-router.conf ]
        is $(cat $T/nf_conntrack_max) 65536 max
        settings 'set v6kit-router.main.conntrack=200000'
        router v6kit-router apply
        is $(cat $T/nf_conntrack_max) 200000 max
        "
    ))
    .expect(0);
}

#[test]
fn check_reports_a_full_table_and_an_overflowing_neighbour_table() {
    on_router(&format!(
        "{READY}
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
        "
    ))
    .expect(0);
}
