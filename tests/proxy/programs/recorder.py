"""A relay that keeps what it was sent: `recorder.py FILE HOST PORT TO-HOST TO-PORT`. It prints its port.

Each connection becomes a line of JSON: who it came from, and the bytes it sent. FILE.begun has an empty one for each that
was begun.
"""
import asyncio, json, sys
file, host, port, to_host, to_port = sys.argv[1:]
async def pipe(reader, writer, kept):
    while piece := await reader.read(65536):
        kept += piece
        writer.write(piece)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    with open(file + ".begun", "a") as lines:
        print(file=lines)
    onward, back = await asyncio.open_connection(to_host, int(to_port))
    sent = bytearray()
    await asyncio.gather(pipe(reader, back, sent), pipe(onward, writer, bytearray()), return_exceptions=True)
    with open(file, "a") as lines:
        print(json.dumps([writer.get_extra_info("peername")[0], sent.hex()]), file=lines)
async def main():
    server = await asyncio.start_server(serve, host, int(port))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
