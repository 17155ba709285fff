# shellcheck shell=bash
make_topology
router fw4 start
host ip -6 route add local $PREFIX dev lo
$V6KIT router render --json --host fe80::9 --prefix $PREFIX --follow lan --conntrack keep >$T/rendering
jq -r '.files[] | [.path, (.mode | tostring)] | @tsv' $T/rendering | while read -r path mode; do
    mkdir -p "$R${path%/*}"
    jq -rj --arg path $path '.files[] | select(.path == $path) | .text' $T/rendering >$R$path
    chmod $(printf %o $mode) $R$path
done
jq -r '.uci[]' $T/rendering | router uci batch >/dev/null
router fw4 reload
jq -r '.nft[]' $T/rendering | nft -f -
router v6kit-router apply
router v6kit-router check
serve outside :: 7000
is $(exchanges tcp 200) 200 exchanges
is $(entries) 0 entries
