"""COUNT GETs of JSON from asyncio, CONNECTIONS at a time: peers.py aiohttp|rnet URL COUNT CONNECTIONS.

The answers are parsed, as v6kit too looks whether a body is JSON; they are not stored.
"""

import asyncio
import os
import sys


async def with_aiohttp(url, count, connections):
    import aiohttp

    items = iter(range(1, count + 1))

    async def worker(session):
        for item in items:
            async with session.get(f"{url}/items/{item}") as response:
                document = await response.json()
                assert response.status == 200 and document["rating"] == 4

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(worker(session) for _ in range(connections)))


async def with_rnet(url, count, connections):
    import rnet

    items = iter(range(1, count + 1))
    client = rnet.Client()

    async def worker():
        for item in items:
            response = await client.get(f"{url}/items/{item}")
            document = await response.json()
            assert response.status == 200 and document["rating"] == 4

    await asyncio.gather(*(worker() for _ in range(connections)))


def main():
    name, url, count, connections = sys.argv[1:]
    work = {"aiohttp": with_aiohttp, "rnet": with_rnet}[name]
    asyncio.run(work(url, int(count), int(connections)))
    # rnet's own threads may outlive the interpreter, and crash it.
    sys.stdout.flush()
    os._exit(0)


main()
