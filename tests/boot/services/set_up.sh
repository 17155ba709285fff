# shellcheck shell=bash
systemd-sysusers
systemd-tmpfiles --create v6kit.conf
v6kit setup --prefix $P --dev up0 --persist -q
target='http://[2001:db8:ffff::1]'
systemd-run -q --unit target v6kit echo --listen '[2001:db8:ffff::1]:80'
eventually curl -sgf -o /dev/null "$target/healthz"
# `job NAME URL KEY=VALUE...`: a job file; its records lie below the directory of its unit.
job() {
    local file=/etc/v6kit/jobs/$1.toml
    printf 'url = ["%s"]\noutput = "records"\n' "$2" >"$file"
    shift 2
    printf '%s\n' "$@" >>"$file"
}
# `main UNIT`: its process.
main() { systemctl show -P MainPID "$1"; }
# `may UNIT`: the capabilities it has and could get, and whether it may gain others.
may() { sed -n 's/^\(CapPrm\|CapEff\|CapBnd\|CapAmb\|NoNewPrivs\):\t//p' "/proc/$(main "$1")/status" | tr '\n' ' '; }
uid() { sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$(main "$1")/status"; }
