# shellcheck shell=bash
trap 'echo "failed: $?"' EXIT
mkdir -p /etc/security/limits.d /var/lib
ulimit -Sn 1024
ulimit -Hn 4096
grep -E '^Max open files +1048576 +1048576 ' /proc/1/limits
echo 524288 >/proc/sys/fs/nr_open
nofile() { grep -A6 '"id": *"nofile"' "$1" || tr '{' '\n' <"$1" | grep '"id":"nofile"'; }
setup() { /v6kit setup --for server --nofile "$1" --json; }
setup 600000 >/tmp/first
nofile /tmp/first
# As far as the kernel was raised for it, and no further than the next boot allows.
cat /proc/sys/fs/nr_open
cat /etc/security/limits.d/90-v6kit.conf
/v6kit status >/tmp/status && echo in order
# A line that wins is no success, to setup and to status.
echo '* hard nofile 2048' >/etc/security/limits.d/99-site.conf
setup 600000 >/tmp/second || echo "setup: $?"
nofile /tmp/second
/v6kit status >/tmp/status || echo "status: $?"
grep nofile /tmp/status
rm /etc/security/limits.d/99-site.conf
/v6kit status >/tmp/status && echo in order again
# More than the next boot's kernel allows is not written: nobody could log in.
setup 2000000 >/tmp/third
grep '^\* soft' /etc/security/limits.d/90-v6kit.conf
/v6kit teardown >/tmp/torn
ls /etc/security/limits.d | wc -l
cat /proc/sys/fs/nr_open
trap - EXIT
echo 'done'
