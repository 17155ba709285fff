# shellcheck shell=bash
cat > "$T/loop.py" <<'PY'
import asyncio, time
async def one():
    _, writer = await asyncio.open_connection("2001:db8:80::80", 80)
    writer.close()
async def main():
    await asyncio.gather(*(one() for _ in range(20)))
asyncio.run(main())
PY
from --connect-rate 1/1h -- python3 "$T/loop.py" 2>"$T/err"
grep -q '19 began before their turn' "$T/err"
begun=$(date +%s%N)
from --connect-rate 4/s -- sh -c 'for i in 1 2 3 4 5; do python3 -c "
import socket
socket.create_connection((\"2001:db8:80::80\", 80))"; done' 2>/dev/null
# Four of five wait a quarter of a second each.
[ "$(($(date +%s%N) - begun))" -ge 1000000000 ]
