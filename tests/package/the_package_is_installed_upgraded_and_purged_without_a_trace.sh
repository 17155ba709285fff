# shellcheck shell=bash
# The shell does not stop at a negated command that fails (bash(1), set -e).
not() { if "$@"; then return 1; fi; }
files >/tmp/before; packages >/tmp/packages-before; getent passwd >/tmp/users-before
dpkg --install /tmp/v6kit_${OLD}_*.deb >/dev/null
test "$(cat /tmp/asked)" = '--system daemon-reload'

# What it brings.
v6kit --version >/dev/null
man -w v6kit-crawl >/dev/null
test -s /usr/share/bash-completion/completions/v6kit
getent passwd v6kit >/dev/null
test "$(stat -c %a,%U,%G /etc/v6kit/jobs)" = 750,root,v6kit
test -z "$(find /etc/systemd -name '*v6kit*')"
# systemd has nothing to say about them, and finds their manual pages.
(cd /usr/lib/systemd/system && systemd-analyze verify $(ls v6kit-* | sed s/@/@example/)) >/tmp/said 2>&1
test ! -s /tmp/said || { cat /tmp/said; exit 1; }
for unit in /usr/lib/systemd/system/v6kit-*.service; do grep -q '^ExecStart=/usr/bin/v6kit ' "$unit"; done

# What is in use and what was edited outlives an upgrade.
ip link add v6kit0 type veth peer name v6kit1 && ip link set v6kit0 up
v6kit setup --prefix 2001:db8:6::/64 --dev v6kit0 >/dev/null
v6kit status >/dev/null
echo 'V6KIT_PROXY_OPTIONS="--max-connections 7"' >/etc/default/v6kit-proxy
echo '# mine' >/etc/v6kit/jobs/mine.toml
: >/tmp/asked
dpkg --install /tmp/v6kit_${NEW}_*.deb >/dev/null
test "$(dpkg-query -W -f '${Version}' v6kit)" = ${NEW}
test "$(cat /tmp/asked)" = '--system daemon-reload'
v6kit status >/dev/null
grep -q 'max-connections 7' /etc/default/v6kit-proxy
grep -q mine /etc/v6kit/jobs/mine.toml

# Removal puts the host back and keeps settings.
dpkg --remove v6kit >/dev/null
not grep -q 'local 2001:db8:6::' <(ip -6 route show table all)
not grep -q v6kit <(nft list tables)
test ! -e /var/lib/v6kit/summary.json
grep -q 'disable --now' /tmp/asked
not grep -E '(^| )(start|restart|enable)( |$)' /tmp/asked
test -e /etc/default/v6kit-proxy -a -e /etc/v6kit/jobs/mine.toml

dpkg --purge v6kit >/dev/null
files >/tmp/after; packages >/tmp/packages-after; getent passwd >/tmp/users-after
diff /tmp/before /tmp/after
diff /tmp/packages-before /tmp/packages-after
diff /tmp/users-before /tmp/users-after
