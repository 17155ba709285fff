# shellcheck shell=bash
refused() {
    for command in status teardown "setup --prefix $P --dev up0"; do
        ends 1 $V6KIT $command 2>"$T/log/stderr"
        grep -q '^why: .* which is still there$' "$T/log/stderr" || fail "$(cat "$T/log/stderr")"
    done
}
mkfifo "$T/log/go"
elsewhere "$SETUP >/dev/null; echo \$\$ >$T/log/pid; read -r _ <$T/log/go" &
exec {GO}<>"$T/log/go"
until [ -s "$T/log/pid" ]; do :; done
holder=$(cat "$T/log/pid")
refused
touch "$T/log/held"
mount --bind /proc/$holder/ns/net "$T/log/held"
exec {FILE}<"$T/log/held"
echo >&$GO
while [ -e /proc/$holder/ns/net ]; do :; done
refused
exec {FILE}<&-
refused
umount "$T/log/held"
$SETUP
$V6KIT status
$V6KIT teardown
