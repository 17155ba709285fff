# shellcheck shell=bash
mkdir "$T/log/disk"
mount -t tmpfs -o size=16k tmpfs "$T/log/disk"
fill() { dd if=/dev/zero of="$T/log/disk/ballast" bs=1k count=${1:-100} 2>/dev/null || true; }
export V6KIT_STATE_DIR="$T/log/disk/state"
# Full at once.
fill
refused 3 'No space left' $SETUP
# Full half way: what was done is undone.
fill 8
refused 3 'No space left' $SETUP
refused 3 'No space left' $SETUP --dry-run
rm "$T/log/disk/ballast"
snapshot >"$T/log/clean"
$SETUP
fill
$V6KIT teardown
rm "$T/log/disk/ballast"
snapshot >"$T/log/after"
diff "$T/log/clean" "$T/log/after"
