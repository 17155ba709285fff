"""Replies of all sorts, read by curl and by v6kit: where both read an answer, it has to be the same one.

beside_curl.py V6KIT SEEDS SCRATCH COUNT SEED: the seeds of the fuzzer, and COUNT replies that are made from them by chance.
Prints how many both read; fails with the first replies that they read otherwise.
"""

import asyncio
import base64
import json
import pathlib
import random
import subprocess
import sys

PARTS = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b",", b";", b":", b"0", b"5", b"00", b"+", b"-", b"0x", b"\0", b"\xff",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: 3\r\n", b"content-length : 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"transfer-encoding:chunked\r\n",
    b"Connection: close\r\n", b"X-A: b\r\n folded\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"hello", b"chunked, ",
    b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.1 304 Not Modified\r\n", b"HTTP/1.1 404 Not Found\r\n",
]  # fmt: skip


def changed(reply, chance):
    reply = bytearray(reply)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(reply) + 1)
        match chance.randrange(4):
            case 0:
                del reply[at : at + chance.randint(1, 8)]
            case 1:
                reply[at:at] = chance.choice(PARTS)
            case 2:
                reply[at : at + 1] = chance.choice(PARTS)
            case 3:
                # At the beginning of a line, where most of it is decided.
                line = reply.rfind(b"\n", 0, at) + 1
                reply[line:line] = chance.choice(PARTS)
    return bytes(reply)


async def serve(replies, reader, writer):
    """One reply for each connection, which ends in an orderly way."""
    try:
        line = await reader.readline()
        while (await reader.readline()).strip():
            pass
        writer.write(replies[int(line.split()[1].rsplit(b"/", 1)[1])])
        await writer.drain()
        writer.write_eof()
        # Closed at once, what the client still sends would reset the connection.
        await reader.read()
    except (ConnectionError, IndexError, OSError):
        pass
    finally:
        writer.close()


async def by_curl(url, count):
    """Status and body of those that curl reads to their end; a process each, since some replies end all of a process."""
    read = {}
    turns = asyncio.Semaphore(8)

    async def fetch(number):
        async with turns:
            process = await asyncio.create_subprocess_exec(
                "curl", "--silent", "--max-time", "5", "--globoff", "--write-out", "\n%{response_code}",
                f"{url}/{number}", stdout=subprocess.PIPE,
            )  # fmt: skip
            out, _ = await process.communicate()
        body, status = out.rsplit(b"\n", 1)
        if process.returncode == 0 and int(status) >= 200:
            read[number] = (int(status), body)

    await asyncio.gather(*map(fetch, range(count)))
    return read


async def by_v6kit(program, url, count, scratch):
    """The same of v6kit."""
    job = f"{scratch}/job"
    process = await asyncio.create_subprocess_exec(
        program, "crawl", f"{url}/{{0..{count - 1}}}", "-o", job, "-r", "max", "-c", "20", "--retries", "0", "--raw",
        "--robots", "ignore", "--max-error-rate", "100%", "--timeout", "5s", "--requests-per-address", "1",
        "--keep-free", "0", "--expect", "status=200,204,304,404", "--quiet",
        stderr=subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode in (0, 1), said.decode()
    lines = subprocess.run([program, "crawl", "cat", job], stdout=subprocess.PIPE, check=True).stdout.splitlines()
    assert len(lines) == count, (len(lines), said)
    read = {}
    for record in map(json.loads, lines):
        if record["outcome"] == "ok":
            body = record.get("body", "")
            if "body_base64" in record:
                body = base64.b64decode(record["body_base64"])
            elif isinstance(body, str):
                body = body.encode()
            else:
                # JSON, which is kept as it is but for line breaks.
                continue
            read[record["pos"]] = (record["status"], body)
    return read


async def main():
    program, seeds, scratch, count, seed = sys.argv[1:]
    chance = random.Random(int(seed))
    # The first byte of a seed says how it is asked for.
    replies = [path.read_bytes()[1:] for path in sorted(pathlib.Path(seeds).iterdir())]
    replies += [changed(chance.choice(replies), chance) for _ in range(int(count))]
    listener = await asyncio.start_server(lambda *ends: serve(replies, *ends), "::1", 0, backlog=1024)
    url = f"http://[::1]:{listener.sockets[0].getsockname()[1]}"
    curl = await by_curl(url, len(replies))
    ours = await by_v6kit(program, url, len(replies), scratch)
    # Lines of curl end at a NUL, which no field may hold (RFC 9110 section 5.5).
    both = sorted(number for number in curl.keys() & ours.keys() if b"\0" not in replies[number])
    for number in both:
        if curl[number] != ours[number]:
            print(f"{replies[number]!r}\n  curl: {curl[number]}\n  v6kit: {ours[number]}", file=sys.stderr)
    print(json.dumps({"replies": len(replies), "curl": len(curl), "v6kit": len(ours), "both": len(both)}))
    sys.exit(any(curl[number] != ours[number] for number in both))


asyncio.run(main())
