# shellcheck shell=bash
cp "$TESTS/store/again/guard.py" "$T/guard.py"
export T
coproc GUARD { exec python3 "$T/guard.py"; }
read -r port <&"${GUARD[0]}"
guard=http://[::1]:$port
printf A >"$T/token"
