# shellcheck shell=bash
cp "$TESTS/proxy/service/activate.py" "$T/activate.py"
python3 "$T/activate.py"
