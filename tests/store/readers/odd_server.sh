# shellcheck shell=bash
cp "$TESTS/store/readers/odd.py" "$T/odd.py"
coproc ODD { exec python3 "$T/odd.py"; }
read -r port <&"${ODD[0]}"
odd=http://[::1]:$port
