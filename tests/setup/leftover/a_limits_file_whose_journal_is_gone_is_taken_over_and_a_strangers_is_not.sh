# shellcheck shell=bash disable=SC2086,SC2154
FILE=/etc/security/limits.d/90-v6kit.conf
$SETUP
cp $FILE "$T/log/file"
$V6KIT teardown
cp "$T/log/file" $FILE
ends 1 $V6KIT status | has 'is left of a setup: its state directory does not know of it'
$SETUP --json >"$T/log/report"
same "$(jq -r '.steps[] | select(.id == "nofile").state' "$T/log/report")" changed
$V6KIT status
$V6KIT teardown
test ! -e $FILE
cp "$T/log/file" $FILE
$V6KIT teardown | has 'Removed: .* is left of a setup'
test ! -e $FILE
# Of another state directory, and without a mark.
for other in "s|in $V6KIT_STATE_DIR|in /srv/other|" '/^# For the setup/d'; do
    sed "$other" "$T/log/file" >$FILE
    ends 1 $SETUP | has "$FILE is there and no setup known here has written it"
    $V6KIT teardown
    test -e $FILE
done
