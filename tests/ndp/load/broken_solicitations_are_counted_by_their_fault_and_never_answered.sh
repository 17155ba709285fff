# shellcheck shell=bash
usable_prefix
start_verbose --all --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
cp "$TESTS/ndp/load/broken.py" "$T/broken.py"
router python3 "$T/broken.py" "$P"
await logged "\"target\":\"${P}af\""
stop
