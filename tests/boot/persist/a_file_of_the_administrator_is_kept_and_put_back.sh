# shellcheck shell=bash
printf '# ours\nnofile = 100000\n\n[[setup]] # lab\nprefix = "%s"\ndev = "up0"\n' $P2 >/etc/v6kit/host.toml
cp /etc/v6kit/host.toml /root/before
v6kit setup --config /etc/v6kit/host.toml
v6kit setup --prefix $P --dev up0 --persist
head -n 6 /etc/v6kit/host.toml | diff - /root/before
# A package brought the units: none are written.
test ! -e /etc/systemd/system/v6kit-setup.service
# What was said of a prefix before is told when it is replaced.
v6kit setup --prefix $P2 --dev up0 --nofile 80000 --persist 2>&1 | has 'said of this prefix before'
v6kit teardown --persist
diff /root/before /etc/v6kit/host.toml
# What is no TOML is refused before anything is changed.
echo 'setup = [' >/etc/v6kit/host.toml
ends 2 v6kit setup --prefix $P --dev up0 --persist 2>/root/err
has '^hint: mend /etc/v6kit/host.toml' /root/err
ends 1 v6kit status -q
same "$(cat /etc/v6kit/host.toml)" 'setup = ['
