# shellcheck shell=bash disable=SC2086,SC2154
export V6KIT_STATE_DIR=$T/one
$SETUP
nft list ruleset >"$T/log/saved"
# While that one is set up, its table is nobody else's.
ends 1 env V6KIT_STATE_DIR="$T/two" $V6KIT setup --prefix $P2 --dev up0 >"$T/log/said"
has "conflict" <"$T/log/said"
has "the setup in $T/one has made" <"$T/log/said"
V6KIT_STATE_DIR=$T/two $V6KIT teardown
$V6KIT status
# A namespace that it was not made in.
unshare --net bash -ec '
    ip link set lo up
    nft -f "$T/log/saved"
    export V6KIT_STATE_DIR=$T/two
    "$V6KIT" status | grep "made in another network namespace"
    "$V6KIT" teardown | grep "Removed: table inet v6kit"
    ! nft list table inet v6kit 2>/dev/null'
$V6KIT status
$V6KIT teardown
# A boot later, of whatever state directory.
nft -f "$T/log/saved"
cat /proc/sys/kernel/random/uuid >"$T/log/boot"
mount --bind "$T/log/boot" /proc/sys/kernel/random/boot_id
export V6KIT_STATE_DIR=$T/three
ends 1 $V6KIT status >"$T/log/said"
has 'made before this boot' <"$T/log/said"
$V6KIT teardown
same "$(nft list ruleset)" ''
# What carries no mark, as that of anybody, is left alone and named.
nft add table inet v6kit
ends 1 $SETUP >"$T/log/said"
has 'that no setup known here has made' <"$T/log/said"
$V6KIT teardown
nft list table inet v6kit >/dev/null
# So is a route with our protocol number.
ip -6 route add local 2001:db8:9::/64 dev lo proto 86
ends 1 $V6KIT status | has 'a route of a setup that is not known here: 2001:db8:9::/64 dev lo table local proto 86'
