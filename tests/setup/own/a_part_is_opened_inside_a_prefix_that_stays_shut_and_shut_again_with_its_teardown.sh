# shellcheck shell=bash
PART=2001:db8:1:0:5::/80
snapshot >"$T/log/before"
$SETUP
$V6KIT setup --prefix $PART --dev up0 --inbound allow
reaches 2001:db8:1:0:5::1
fails reaches 2001:db8:1::1
$V6KIT status
$V6KIT teardown --prefix $PART
fails reaches 2001:db8:1:0:5::1
$V6KIT teardown
# The other way round: what is shut with it is told.
$V6KIT setup --prefix $PART --dev up0 --inbound allow
$SETUP | has "note: $PART was set up open and is shut with $P"
fails reaches 2001:db8:1:0:5::1
$V6KIT setup --prefix $PART --dev up0 --inbound allow
reaches 2001:db8:1:0:5::1
$V6KIT teardown
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
