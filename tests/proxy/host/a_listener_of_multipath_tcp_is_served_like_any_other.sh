# shellcheck shell=bash
cat > "$T/listen.py" <<'PY'
import os, socket, sys
listening = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
listening.bind(("::1", 0))
listening.listen(16)
open(sys.argv[1], "w").write(str(listening.getsockname()[1]))
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
PY
cp "$TESTS/proxy/host/multipath_client.py" "$T/client.py"
mkfifo "$T/ready"
python3 "$T/listen.py" "$T/port" "$V6KIT" proxy --json --prefix "$V6KIT_LAB_PREFIX" --allow-destination ::1 > "$T/ready" 2> "$T/err" &
pid=$!
read -r ready < "$T/ready" || { cat "$T/err" >&2; exit 1; }
python3 "$T/client.py" "$(cat "$T/port")" "$target"
kill -TERM "$pid" && wait "$pid"
