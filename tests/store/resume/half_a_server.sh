# shellcheck shell=bash
cat >"$T/half.py" <<'PYTHON'
import socket, threading

def serve(connection):
    with connection, connection.makefile("rb") as requests:
        while line := requests.readline():
            while requests.readline().strip():
                pass
            if int(line.split()[1].rsplit(b"/", 1)[1]) % 2:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            else:
                print("held", flush=True)

listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PYTHON
coproc HALF { exec python3 "$T/half.py"; }
read -r port <&"${HALF[0]}"
half=http://[::1]:$port
# Waits until so many requests are held.
held() { for _ in $(seq "$1"); do read -r _ <&"${HALF[0]}"; done; }
