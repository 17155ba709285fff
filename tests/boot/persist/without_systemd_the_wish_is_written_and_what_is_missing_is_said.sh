# shellcheck shell=bash
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir "$T/bin"
export PATH="$T/bin:$PATH"
unset V6KIT_STATE_DIR
P=2001:db8:1::/64
ip link add up0 type veth peer name down0
ip link set up0 up
says() { grep -q -- "$1" "$T/err" || { cat "$T/err"; exit 1; }; }
ends() { code=0; want=$1; shift; "$@" >"$T/out" 2>"$T/err" || code=$?; [ $code = $want ] || { cat "$T/out" "$T/err"; exit 1; }; }
# The unit needs a place that services can see and nobody else can write to.
cp "$V6KIT" "$T/v6kit"
ends 2 "$T/v6kit" setup --prefix $P --dev up0 --persist
says '^hint: install it first: `sudo install'
test ! -e /etc/v6kit
mount -t tmpfs -o mode=755 tmpfs /opt
cp "$V6KIT" /opt/v6kit
# A program that was moved from a home directory keeps its label there. The kernel of the test has no SELinux, which is
# stood for by its directory.
label() { python3 -c 'import os, sys; os.setxattr("/opt/v6kit", "security.selinux", sys.argv[1].encode() + b"\0")' "$1"; }
mount -t tmpfs tmpfs /sys/fs
label unconfined_u:object_r:user_home_t:s0
mkdir /sys/fs/selinux
echo 1 >/sys/fs/selinux/enforce
ends 2 /opt/v6kit setup --prefix $P --dev up0 --persist
says '^why: .* label unconfined_u:object_r:user_home_t:s0'
says '^hint: `sudo restorecon /opt/v6kit`'
test ! -e /etc/v6kit
label system_u:object_r:usr_t:s0
ends 2 /opt/v6kit setup --prefix $P --dev up0 --persist --state-dir "$T/state"
says '^why: the service keeps its journal in /var/lib/v6kit'
ends 1 /opt/v6kit setup --prefix $P --dev up0 --persist
says '^why: this system does not run systemd; /etc/v6kit/host.toml is written'
says '^hint: have your init run `v6kit setup --config /etc/v6kit/host.toml`'
says 'nothing .* looks for drift'
mkdir /run/openrc
touch /run/openrc/softlevel
ends 1 /opt/v6kit setup --prefix $P --dev up0 --persist
says '^why: this system does not run systemd but OpenRC; /etc/v6kit/host.toml is written'
says '^hint: put `v6kit setup --config /etc/v6kit/host.toml` into /etc/local.d/v6kit.start'
ends 0 /opt/v6kit setup --config /etc/v6kit/host.toml
ends 0 /opt/v6kit status
grep -q 'v6kit-setup.service is not enabled' "$T/out"
ends 0 /opt/v6kit teardown --persist
test ! -e /etc/v6kit
test ! -e /etc/systemd/system/v6kit-setup.service
test ! -e /var/lib/v6kit
