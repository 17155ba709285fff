"""The one place where the Python of the tests sleeps. The harness puts it on PYTHONPATH."""

import asyncio
import time


def eventually(condition, what=lambda: "it never happens"):
    """Waits until `condition()` holds, for two minutes; `what()` says what did not come."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.02)


def pause(seconds):
    """A delay that is what is tested: a server that takes its time, a client that does not read, a pace."""
    time.sleep(seconds)


async def stall(seconds):
    """`pause`, while others go on."""
    await asyncio.sleep(seconds)
