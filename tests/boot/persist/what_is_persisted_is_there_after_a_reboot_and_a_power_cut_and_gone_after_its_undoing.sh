# shellcheck shell=bash
find /etc -type f | sort | xargs -d '\n' sha256sum 2>/dev/null >/root/etc.before
cat /proc/sys/kernel/random/boot_id >/root/boot
v6kit setup --prefix $P --dev up0 --persist >/root/out
has 'At every boot: /etc/v6kit/host.toml' /root/out
has '^dev = "up0"$' /etc/v6kit/host.toml
same "$(grep -c '^\[\[setup\]\]$' /etc/v6kit/host.toml)" 1
if grep -E '^(nofile|conntrack|route-dev|persist)' /etc/v6kit/host.toml; then fail "not the wish"; fi
has '^ExecStart=/usr/local/bin/v6kit setup' /etc/systemd/system/v6kit-setup.service
same "$(state v6kit-setup.service) $(state v6kit-check.timer) $(state v6kit-addresses.service)" 'active active active'
# Again: the same, and another prefix beside it.
cp /etc/v6kit/host.toml /root/one
v6kit setup --prefix $P --dev up0 --persist
diff /root/one /etc/v6kit/host.toml
v6kit setup --prefix $P2 --dev up0 --nofile 70000 --persist --on-drift repair
same "$(grep -c '^\[\[setup\]\]$' /etc/v6kit/host.toml)" 2
has '^on-drift = "repair"$' /etc/v6kit/host.toml
v6kit status | has '^At the next boot: /etc/v6kit/host.toml, by v6kit-setup.service'
v6kit status --json | jq -e '.in_order and .at_boot.enabled and (.at_boot.cut_off | not)' >/dev/null
