import socket, struct, sys
prefix = sys.argv[1]
pton = lambda text: socket.inet_pton(socket.AF_INET6, text)
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("lan", 0))

def checksum(source, destination, message):
    data = source + destination + struct.pack("!IxxxB", len(message), 58) + message
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)

def send(host, source="fe80::1234", hops=255, code=0, options=b"", spoil=False, before=b""):
    target = pton(prefix + host)
    destination = pton("ff02::1:ff00:0")[:13] + target[13:]
    source = pton(source)
    message = bytes([135, code, 0, 0]) + bytes(4) + target + options
    sum_ = checksum(source, destination, message)
    if spoil:
        sum_ = bytes([sum_[0] ^ 1, sum_[1]])
    message = message[:2] + sum_ + message[4:]
    first = before[0] if before else 58
    body = before[1:] + message if before else message
    packet = struct.pack("!IHBB", 0x60000000, len(body), first, hops) + source + destination + body
    mac = b"\x33\x33\xff" + target[13:]
    link.send(mac + bytes.fromhex("02000000abcd") + b"\x86\xdd" + packet)

send("a1", hops=64)
send("a2", spoil=True)
send("a3", code=1)
send("a4", options=bytes(8))
send("a5", source="::", options=bytes([1, 1, 2, 0, 0, 0, 0, 1]))
send("a6", options=bytes([1, 9]) + bytes(6))
# Hop-by-hop options before the message, and options that begin like a solicitation.
send("a7", before=bytes([0, 58, 0, 1, 4, 0, 0, 0, 0]))
send("a8", before=bytes([0, 135, 0, 1, 4, 0, 0, 0, 0]))
send("af", options=bytes([14, 1, 0, 0, 0, 0, 0, 0, 1, 1]) + bytes.fromhex("02000000abcd"))
