# shellcheck shell=bash
router v6kit-router apply
is $(cat $T/nf_conntrack_max) 32768 'on 128 MiB'
is $(cat $T/nf_conntrack_buckets) 32768 'buckets'
grep -qx net.netfilter.nf_conntrack_max=32768 $R/etc/sysctl.d/12-v6kit-router.conf
before=$(disk)
router v6kit-router apply
is "$(disk)" "$before" 'the disk after a second time'

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
