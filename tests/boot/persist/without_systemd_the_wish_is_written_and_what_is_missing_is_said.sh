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
ends 2 /opt/v6kit setup --prefix $P --dev up0 --persist --state-dir "$T/state"
says '^why: the service keeps its journal in /var/lib/v6kit'
ends 1 /opt/v6kit setup --prefix $P --dev up0 --persist
says '^why: this system does not run systemd; /etc/v6kit/host.toml is written'
says '^hint: have your init run `v6kit setup --config /etc/v6kit/host.toml`'
ends 0 /opt/v6kit setup --config /etc/v6kit/host.toml
ends 0 /opt/v6kit status
grep -q 'v6kit-setup.service is not enabled' "$T/out"
ends 0 /opt/v6kit teardown --persist
test ! -e /etc/v6kit
test ! -e /etc/systemd/system/v6kit-setup.service
test ! -e /var/lib/v6kit
