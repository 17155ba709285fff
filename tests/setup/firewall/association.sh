# shellcheck shell=bash
cat > "$T/log/server.py" <<'PY'
# Answers each datagram with the address it came from, and tells it to the stranger as well.
import socket, sys
peer, stranger = sys.argv[1:]
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind((peer, 5300))
other = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
other.bind((stranger, 5300))
print("up", flush=True)
while True:
    got, source = server.recvfrom(65536)
    other.sendto(b"unsolicited", source[:2])
    server.sendto(b"%s seen at %s" % (got, source[0].encode()), source)
PY
cp "$TESTS/setup/firewall/association_client.py" "$T/log/client.py"
