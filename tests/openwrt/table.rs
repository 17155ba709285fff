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
    on_router(
        &[
            READY,
            TABLE,
            include_str!("table/the_connection_table_is_sized_by_memory_and_only_raised.sh"),
        ]
        .join("\n"),
    )
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
    on_router(
        &[
            READY,
            include_str!("table/check_reports_a_full_table_and_an_overflowing_neighbour_table.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}
