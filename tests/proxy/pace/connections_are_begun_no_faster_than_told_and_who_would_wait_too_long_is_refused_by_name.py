import asyncio, sys, time
host, port = sys.argv[1].rsplit(":", 1)
accepted = []

async def serve(reader, writer):
    accepted.append(time.monotonic())
    await reader.read()
    writer.close()

async def client(origin):
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"CONNECT [::1]:%d HTTP/1.1\r\n\r\n" % origin)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    writer.close()
    return head

async def main():
    server = await asyncio.start_server(serve, "::1", 0, backlog=1000)
    origin = server.sockets[0].getsockname()[1]
    began = time.monotonic()
    heads = await asyncio.gather(*(client(origin) for _ in range(80)))
    made = [head for head in heads if head.split()[1] == "200"]
    refused = [head for head in heads if head.split()[1] != "200"]
    assert len(made) == len(accepted) and len(made) >= 10 and refused, (len(made), len(accepted))
    for head in refused:
        assert head.split()[1] == "503" and "x-v6kit-error: connect_rate" in head, head
    took = max(accepted) - began
    assert len(made) <= 20 * (took + 0.02) + 1, f"{len(made)} connections in {took} s"

asyncio.run(main())
