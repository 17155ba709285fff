"""serve.py ADDRESS PORT: answers every TCP connection with the peer's address, and every UDP datagram with itself.

Prints `ready` once it listens.
"""
import asyncio
import sys


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.transport.sendto(data, peer)


async def answer(_, writer):
    writer.write(writer.get_extra_info("peername")[0].encode())
    writer.close()


async def main(address, port):
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Echo, local_addr=(address, port))
    server = await asyncio.start_server(answer, address, port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
