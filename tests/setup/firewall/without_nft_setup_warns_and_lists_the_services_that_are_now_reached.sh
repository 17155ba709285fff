# shellcheck shell=bash
# Only what this test needs is left of the system's programs.
mkdir "$T/log/sbin"
for program in ip ss sysctl; do cp "$(command -v $program)" "$T/log/sbin/"; done
mount --bind "$T/log/sbin" /usr/sbin
test -L /sbin || mount --bind "$T/log/sbin" /sbin
hash -r
export PATH="$T/log/sbin:/usr/bin:/bin"
fails command -v nft
$SETUP --json >"$T/log/report"
same "$(jq -r '.steps[] | select(.id == "inbound").state' "$T/log/report")" skipped
jq -e '.steps[] | select(.id == "inbound").reason | contains("nft is not installed") and contains("tcp 8080 (")' "$T/log/report"
jq -e '.steps[] | select(.id == "inbound").hint | contains("apt install nftables")' "$T/log/report"
same "$(jq -r '.steps[] | select(.id == "route").state' "$T/log/report")" changed
$V6KIT status
$V6KIT teardown
test ! -e "$V6KIT_STATE_DIR"
