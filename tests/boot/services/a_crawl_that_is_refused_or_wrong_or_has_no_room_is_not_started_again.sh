# shellcheck shell=bash
systemd-run -q --unit refusing v6kit echo --listen '[2001:db8:ffff::1]:81' \
    --limit 1/1h --limit-scope 48 --limit-answer 403
job refused "$target:81/items/{1..1000}" 'rate = "max"' 'probe-pause = "100ms"'
job wrong "$target/" 'retrys = 1'
# A disk of its own, three quarters full.
disk=/var/lib/v6kit-crawl/full
mkdir -p $disk
mount -t tmpfs -o size=64M,mode=755 none $disk
head -c 48M /dev/zero >$disk/ballast
job full "$target/items/{1..50}" 'rate = "max"' 'keep-free = "50%"'
for case in refused:18 wrong:2 full:3; do
    unit=v6kit-crawl@${case%:*}.service
    systemctl start $unit 2>/dev/null || true
    ended() { [ "$(state $unit)" = failed ]; }
    eventually ended
    same "$(systemctl show -P ExecMainStatus $unit)" ${case#*:}
done
# RestartSec is 10 s: in more than that nothing may happen.
pause 11
for name in refused wrong full; do
    same "$(state v6kit-crawl@$name.service) $(systemctl show -P NRestarts v6kit-crawl@$name.service)" 'failed 0'
done
journalctl -o cat -u v6kit-crawl@wrong.service | has 'did you mean `retries`'
journalctl -o cat -u v6kit-crawl@full.service | has keep-free
# With room again and started by hand, it goes on to the end.
rm $disk/ballast
systemctl start v6kit-crawl@full.service || true
finished() { [ "$(state v6kit-crawl@full.service) $(result v6kit-crawl@full.service)" = 'inactive success' ]; }
eventually finished
same "$(v6kit crawl cat $disk/records --outcome ok | wc -l)" 50
# Without a job file nothing is tried.
systemctl start v6kit-crawl@none.service
same "$(systemctl show -P ConditionResult v6kit-crawl@none.service)" no
