import asyncio, random, socket, struct, sys
from wait import stall
async def serve(reader, writer):
    try:
        await asyncio.wait_for(reader.read(1000), 5)
        kind = random.randrange(5)
        if kind == 0:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        elif kind == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + bytes(random.randrange(300000)))
        elif kind == 2:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif kind == 3:
            await stall(random.random())
        await writer.drain()
        await asyncio.wait_for(reader.read(), 0.3)
    except (OSError, asyncio.TimeoutError):
        pass
    finally:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "::1", int(sys.argv[1]), backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
