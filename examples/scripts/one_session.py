"""Fetches items 1 to N through one session of aiohttp, and counts the answers by status.

usage: one_session.py 'https://api.example.org/items/{}' N [CONNECTIONS [fresh]]
CONNECTIONS are kept and used again; `fresh` makes a new one for each request. The proxy is that of the environment.
"""

import asyncio
import collections
import ssl
import sys

import aiohttp


async def main(url, count, connections, fresh):
    statuses = collections.Counter()
    connector = aiohttp.TCPConnector(
        limit=connections, force_close=fresh, ssl=ssl.create_default_context()
    )
    async with aiohttp.ClientSession(connector=connector, trust_env=True) as session:

        async def fetch(item):
            async with session.get(url.format(item)) as answer:
                await answer.read()
                statuses[answer.status] += 1

        await asyncio.gather(*(fetch(item) for item in range(1, count + 1)))
    for status, answers in sorted(statuses.items()):
        print(f"{status}: {answers}")


connections = int(sys.argv[3]) if len(sys.argv) > 3 else 1
asyncio.run(main(sys.argv[1], int(sys.argv[2]), connections, "fresh" in sys.argv))
