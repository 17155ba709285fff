from wire import *
import random, os
seed = int.from_bytes(os.urandom(4), "big")
print("seed", seed, flush=True)
random.seed(seed)
starts = [b"\x05\x01\x00", b"\x05\x02\x00\x02\x01\x03abc\x02pw", b"\x05\x01\x00\x05\x01\x00\x03", b"\x04\x01\x00\x50",
          b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\n", b"GET http://[2001:db8:80::80]/ HTTP/1.1\r\nHost: a\r\n",
          b"POST http://[2001:db8:80::80]/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", b"\x16\x03\x01", b""]
for _ in range(1500):
    made = connect()
    raw = bytearray(random.choice(starts) + random.randbytes(random.randrange(64)))
    for _ in range(random.randrange(4)):
        if raw: raw[random.randrange(len(raw))] = random.randrange(256)
    try:
        made.sendall(raw)
        if random.random() < 0.5: made.shutdown(socket.SHUT_WR)
        if random.random() < 0.3: made.recv(100)
        if random.random() < 0.3: made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    made.close()
