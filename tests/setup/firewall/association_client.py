import socket, struct, sys
host, port = sys.argv[1].rsplit(":", 1)
peer, = sys.argv[2:]
control = socket.create_connection((host, int(port)), timeout=60)
control.sendall(b"\x05\x01\x00\x05\x03\x00\x01\0\0\0\0\0\0")
reply = control.recv(100)
while len(reply) < 12:
    reply += control.recv(100)
assert reply[2:6] == b"\x05\x00\x00\x01", reply
relay = socket.inet_ntoa(reply[6:10]), struct.unpack(">H", reply[10:12])[0]
mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mine.settimeout(60)
header = b"\0\0\0\x04" + socket.inet_pton(socket.AF_INET6, peer) + struct.pack(">H", 5300)
for question in (b"first", b"second"):
    mine.sendto(header + question, relay)
    answer = mine.recv(65536)
    # The stranger's datagram was sent before this one.
    assert answer.startswith(header + question + b" seen at "), answer
print(answer.split()[-1].decode())
