"""A shell in the lab on a terminal: what it greets with, its prompt, and its exit status.

usage: greeting.py V6KIT TOPOLOGY SHELL...
Prints what was seen, without sequences of the terminal, and exits as the lab does.
"""

import os
import pty
import re
import sys

pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execvp(sys.argv[1], [sys.argv[1], "lab", "run", "--topology", sys.argv[2], "--", *sys.argv[3:]])
seen = b""


def until(pattern):
    global seen
    while not re.search(pattern, seen):
        try:
            seen += os.read(terminal, 65536)
        except OSError:  # EIO: the other side is closed
            sys.exit(f"never seen: {pattern}\n{seen.decode(errors='replace')}")


until(rb"\(v6kit lab\) ")
os.write(terminal, b"echo mark=$MARK; exit 3\n")
until(rb"mark=[a-z]+\r?\n")
_, status = os.waitpid(pid, 0)
print(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode(errors="replace")).replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(status))
