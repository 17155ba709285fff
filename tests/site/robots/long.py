"""robots.txt that are longer than what is read of them (RFC 9309 section 2.5), each on a port of its own."""

import asyncio, sys, zlib

RULES = b"User-agent: *\nDisallow: /private/\n"
FILLER = b"# nothing is asked for in this line\n" * 2000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


async def robots(form, writer):
    if form == "promised":
        writer.write(HEAD + b"Content-Length: 9000000000\r\n\r\n" + RULES)
        piece = FILLER
    elif form == "chunked" or form == "stalled":
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(RULES))
        piece = chunk(FILLER)
    elif form == "unending":
        writer.write(HEAD + b"Connection: close\r\n\r\n" + RULES)
        piece = FILLER
    else:
        packer = zlib.compressobj(wbits=31)
        writer.write(HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(chunk(packer.compress(RULES + FILLER * 300) + packer.flush(zlib.Z_SYNC_FLUSH)))
        # 20 MB and more, as it is unpacked.
        piece = chunk(packer.compress(FILLER * 300) + packer.flush(zlib.Z_SYNC_FLUSH))
    sent = 0
    while form != "stalled" or sent < 600_000:
        writer.write(piece)
        await writer.drain()
        sent += len(piece)
    await asyncio.Event().wait()


async def serve(form, reader, writer):
    try:
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            if path == b"/robots.txt":
                await robots(form, writer)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    servers = []
    for number, form in enumerate(sys.argv[1:]):
        servers.append(await asyncio.start_server(lambda r, w, f=form: serve(f, r, w), "::1", 8080 + number))
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
