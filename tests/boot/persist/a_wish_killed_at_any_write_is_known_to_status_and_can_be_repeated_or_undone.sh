# shellcheck shell=bash
v6kit setup --prefix $P --dev up0 -q
kills=0
for case in rename:1 fsync:3; do
    call=${case%:*}
    for n in $(seq 1 "${case#*:}" 40); do
        code=0
        strace -qq -o /dev/null -e trace=$call -e inject=$call:signal=SIGKILL:when=$n \
            v6kit setup --prefix $P --dev up0 --persist >/dev/null 2>&1 || code=$?
        [ $code = 137 ] || break
        kills=$((kills + 1))
        v6kit status --json >/root/status || true
        if [ -e /var/lib/v6kit/at-boot.json ]; then
            jq -e '.at_boot | .cut_off or .enabled' /root/status >/dev/null || fail "$call $n: $(cat /root/status)"
        fi
        if [ $((n % 2)) = 0 ]; then
            v6kit setup --prefix $P --dev up0 --persist -q || fail "again after $call $n"
            same "$(state v6kit-setup.service)" active
        fi
        v6kit teardown --persist -q || fail "undone after $call $n"
        test ! -e /etc/v6kit || fail "left after $call $n: $(ls /etc/v6kit)"
        test ! -e /etc/systemd/system/v6kit-setup.service
        # shellcheck disable=SC2010 # names of units
        test -z "$(ls /etc/systemd/system/*.wants | grep v6kit)" || fail "enabled after $call $n"
        v6kit setup --prefix $P --dev up0 -q
    done
    v6kit teardown --persist -q
    v6kit setup --prefix $P --dev up0 -q
done
[ $kills -ge 8 ] || fail "only $kills kills"
v6kit teardown -q
test ! -e /var/lib/v6kit
