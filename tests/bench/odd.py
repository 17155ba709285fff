"""A server of odd answers on [::1]: /whole and /bytewise have a head of 64 KB, the latter in segments of one byte; /large/N
is 1 MB, /small/N two bytes. The port is the first line of its output.
"""

import asyncio
import socket

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + b"".join(
    b"X-%04d: %s\r\n" % (number, b"v" * 54) for number in range(1000)
)
SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 1048576


async def serve(reader, writer):
    try:
        while line := await reader.readline():
            while (await reader.readline()).strip():
                pass
            path = line.split()[1]
            if path == b"/bytewise":
                writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in HEAD + b"\r\n{}":
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0)
            elif path == b"/whole":
                writer.write(HEAD + b"\r\n{}")
            else:
                writer.write(LARGE if path.startswith(b"/large/") else SMALL)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "::1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
