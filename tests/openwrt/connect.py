"""connect.py tcp|udp COUNT PREFIX ADDRESS PORT [SECONDS]: so many exchanges, each from another address of
PREFIX, and how many of them came about."""
import asyncio
import ipaddress
import random
import socket
import sys

IP_FREEBIND, IP_BIND_ADDRESS_NO_PORT = 15, 24


async def exchange(kind, source, target, seconds):
    stream = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6, stream) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
        sock.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds):
            await loop.sock_connect(sock, target)
            if kind == "udp":
                await loop.sock_sendall(sock, source.encode())
            return await loop.sock_recv(sock, 100) == source.encode()


async def main(kind, count, prefix, address, port, seconds):
    network = ipaddress.IPv6Network(prefix)
    sources = (str(network[random.getrandbits(128 - network.prefixlen)]) for _ in range(count))
    passed = 0

    async def worker():
        nonlocal passed
        for source in sources:
            try:
                came_about = await exchange(kind, source, (address, port), seconds)
            except OSError:
                continue
            passed += came_about

    await asyncio.gather(*(worker() for _ in range(20)))
    print(passed)


kind, count, prefix, address, port, *seconds = sys.argv[1:]
asyncio.run(main(kind, int(count), prefix, address, int(port), float(seconds[0]) if seconds else 20.0))
