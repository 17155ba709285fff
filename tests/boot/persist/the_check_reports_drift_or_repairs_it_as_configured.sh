# shellcheck shell=bash
v6kit setup --prefix $P --dev up0 --persist -q
systemctl start v6kit-check.service
nft delete table inet v6kit
ends 1 systemctl start v6kit-check.service
same "$(result v6kit-check.service)" exit-code
journalctl -u v6kit-check.service -o cat | has 'inbound .*missing'
if nft list table inet v6kit 2>/dev/null; then fail 'repaired'; fi
v6kit setup --prefix $P --dev up0 --persist --on-drift repair -q
nft delete table inet v6kit
ip -6 route del local $P dev lo table main
systemctl start v6kit-check.service
same "$(result v6kit-check.service)" success
v6kit status -q
journalctl -u v6kit-check.service -o cat | has 'repaired inbound'
# Not at all set up: wished for all the same.
v6kit teardown -q
ends 1 v6kit status --config /etc/v6kit/host.toml --on-drift report >/root/out
has "$P is wished for and not set up" /root/out
# The timer starts it.
mkdir -p /run/systemd/system/v6kit-check.timer.d
printf '[Timer]\nOnActiveSec=\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=1s\n' >/run/systemd/system/v6kit-check.timer.d/soon.conf
systemctl daemon-reload
systemctl restart v6kit-check.timer
eventually v6kit status -q >/dev/null 2>&1
