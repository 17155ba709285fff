import asyncio, random, socket, struct, sys
at, ports, count, seed = sys.argv[1], [int(port) for port in sys.argv[2].split(",")], int(sys.argv[3]), int(sys.argv[4])
host, port = at.rsplit(":", 1)
random.seed(seed)
session = b"Proxy-Authorization: Basic dS1zZXNzaW9uLTE6eA==\r\n"
def opening(origin):
    name = b"[::1]:%d" % origin
    address = b"\x04" + socket.inet_pton(socket.AF_INET6, "::1") + struct.pack(">H", origin)
    return random.choice((
        b"CONNECT " + name + b" HTTP/1.1\r\n\r\n",
        b"CONNECT " + name + b" HTTP/1.1\r\n" + session + b"\r\n",
        b"\x05\x01\x00\x05\x01\x00" + address,
        b"GET http://" + name + b"/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://" + name + b"/ HTTP/1.1\r\nHost: a\r\n" + session + b"\r\n",
        b"POST http://" + name + b"/ HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + bytes(random.randrange(50000)),
        b"CONNECT " + name + b" HTTP",
        b"\x05",
    ))
async def one():
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return
    try:
        writer.write(opening(random.choice(ports)))
        end = random.randrange(6)
        if end > 0:
            await asyncio.wait_for(reader.read(100), 1)
        if end > 1:
            writer.write(b"x" * random.randrange(40000))
            await asyncio.wait_for(reader.read(100000), 0.2)
        if end == 2:
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 0.2)
        if end in (3, 4):
            # The end is a reset.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except (OSError, asyncio.TimeoutError):
        pass
    finally:
        writer.transport.abort() if random.random() < 0.5 else writer.close()
async def main():
    slots = asyncio.Semaphore(100)
    async def in_slot():
        async with slots:
            await one()
    await asyncio.gather(*(in_slot() for _ in range(count)))
asyncio.run(main())
