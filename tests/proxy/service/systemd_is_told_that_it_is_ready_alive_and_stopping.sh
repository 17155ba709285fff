# shellcheck shell=bash
cp "$TESTS/proxy/service/manager.py" "$T/manager.py"
python3 "$T/manager.py" "$T"
