"""A site with terms of its own, which writes down what it was asked and when.

    server.py LOG MODE [ARGUMENT...]     prints its port on [::1]; each request is a JSON line in LOG

    plain                  answers at once
    mute                   never answers
    mirror                 answers with what it was asked, as JSON
    workers COUNT MS       COUNT requests at a time, each of which takes MS
    exhausted COUNT        answers COUNT requests after 20 ms each, and refuses the rest at once
    together COUNT MOST    answers items up to MOST once COUNT of them have waited at a time, and others at once
    large BYTES            answers with so many bytes, every other time in chunks
    once COUNT             a request a connection, whose beginning is written down too; the first COUNT are not answered
    wait COUNT FORM SECS   refuses request COUNT with Retry-After in SECS, as `seconds` or as a `date`
"""

import asyncio
import email.utils
import json
import sys
import time

from wait import stall


class Site:
    def __init__(self, log, mode, arguments):
        self.log = open(log, "w", buffering=1)
        self.mode = mode
        self.arguments = arguments
        self.count = 0
        if mode == "workers":
            self.free = asyncio.Semaphore(int(arguments[0]))
        self.together = asyncio.Event()
        self.waiting = 0

    async def answer(self, method, path, headers, body):
        self.count += 1
        number = self.count
        arguments = self.arguments
        match self.mode:
            case "mute":
                await asyncio.Event().wait()
            case "mirror":
                return 200, [], json.dumps({"method": method, "path": path, "headers": headers, "body": body})
            case "workers":
                async with self.free:
                    await stall(int(arguments[1]) / 1000)
            case "together" if int(path.rsplit("/", 1)[1]) <= int(arguments[1]):
                self.waiting += 1
                if self.waiting == int(arguments[0]):
                    self.together.set()
                await self.together.wait()
                self.waiting -= 1
            case "large":
                return 200, [("Transfer-Encoding", "chunked")] if number % 2 else [], "x" * int(arguments[0])
            case "once" if number <= int(arguments[0]):
                raise ConnectionResetError
            case "exhausted":
                if number > int(arguments[0]):
                    return 429, [], "too often"
                await stall(0.02)
            case "wait" if number == int(arguments[0]):
                seconds = int(arguments[2])
                date = email.utils.formatdate(time.time() + seconds, usegmt=True)
                return 429, [("Retry-After", str(seconds) if arguments[1] == "seconds" else date)], "wait"
        return 200, [], json.dumps({"path": path})

    async def serve(self, reader, writer):
        if self.mode == "once":
            self.log.write(json.dumps({"at": time.monotonic(), "path": "", "status": 0}) + "\n")
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
                body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode("latin-1")
                at = time.monotonic()
                status, fields, text = await self.answer(method, path, headers, body)
                self.log.write(json.dumps({"at": at, "path": path, "status": status}) + "\n")
                if ("Transfer-Encoding", "chunked") in fields:
                    text = f"{len(text):x}\r\n{text}\r\n0\r\n\r\n"
                else:
                    fields.append(("Content-Length", len(text)))
                if self.mode == "once":
                    fields.append(("Connection", "close"))
                fields = "".join(f"{name}: {value}\r\n" for name, value in fields)
                writer.write(
                    f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n{fields}"
                    f"\r\n{text}".encode()
                )
                await writer.drain()
                if self.mode == "once":
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main():
    site = Site(sys.argv[1], sys.argv[2], sys.argv[3:])
    server = await asyncio.start_server(site.serve, "::1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
