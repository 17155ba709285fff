# shellcheck shell=bash
same "$(stat -c '%a %G' /etc/v6kit/jobs)" '750 v6kit'
job items "$target/items/{1..3000}" 'rate = "300/s"' 'commit-every = "500ms"'
unit=v6kit-crawl@items.service
systemctl enable -q --now $unit
same "$(may $unit)" "$(printf '0000000000000000 %.0s' 1 2 3 4)1 "
same "$(id -un "$(uid $unit)")" v6kit
case $(systemctl show -P StatusText $unit) in *' of 3,000 done'*) ;; *) fail "$(systemctl show -P StatusText $unit)" ;; esac
directory=/var/lib/v6kit-crawl/items/records
some() { [ "$(v6kit crawl cat $directory 2>/dev/null | wc -l)" -gt 100 ]; }
eventually some
kill -9 "$(main $unit)"
restarted() { [ "$(systemctl show -P NRestarts $unit)" = 1 ] && [ "$(state $unit)" = active ]; }
eventually restarted
# Stopped in order, it can be resumed, and has not failed.
systemctl stop $unit
same "$(state $unit) $(result $unit)" 'inactive success'
v6kit crawl missing $directory | has .
