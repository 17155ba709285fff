# shellcheck shell=bash
mkdir "$T/log/bin"
real=$(command -v nft)
cat >"$T/log/bin/nft" <<NFT
#!/bin/sh
$real "\$@" >"$T/log/nft.\$\$"; code=\$?
cat "$T/log/nft.\$\$"; cat "$T/log/nft.\$\$" >>"$T/log/listed"
exit \$code
NFT
chmod 755 "$T/log/bin/nft"
nft -f - <<'NFT'
table inet crowd {
    set blocked { type ipv6_addr; elements = { 2001:db8:dead::1, 2001:db8:dead::2 } }
    map verdicts { type ipv6_addr : verdict; elements = { 2001:db8:dead::3 : drop } }
    chain in { type filter hook input priority -5; ip6 saddr @blocked drop; ip6 saddr vmap @verdicts; }
}
NFT
export PATH="$T/log/bin:$PATH"
$SETUP
$V6KIT status
$V6KIT doctor >"$T/log/doctor" || true
$V6KIT teardown
test -s "$T/log/listed"
fails has 'db8:dead' "$T/log/listed"
