"""Runs a command on a terminal of 80 columns and prints each line that is wider, and how many there were.

usage: columns.py COMMAND ARG...
A line is let through where all of it is one command, which has to stay whole. The display of a crawl fills its rows
with spaces in place of ending them.
"""

import fcntl
import os
import pty
import re
import struct
import sys
import termios

COLUMNS = 80
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    os.environ["TERM"] = "xterm-256color"
    os.environ.pop("COLUMNS", None)
    os.environ.pop("NO_COLOR", None)
    os.execvp(sys.argv[1], sys.argv[1:])
written = b""
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # EIO: the other side is closed
        break
    if not piece:
        break
    written += piece
os.waitpid(pid, 0)
text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
lines = []
for line in re.split(r"[\r\n]+", text):
    rows = [line[at : at + COLUMNS] for at in range(0, len(line), COLUMNS)]
    is_display = line[:1] in ("\u2588", "\u2591") and all(row.endswith("  ") for row in rows[:-1])
    lines += rows if is_display else [line] * bool(line)
command = re.compile(r"\s*(`[^`]*`[.,;)]?|(sudo )?\S*v6kit \S.*)")
for line in lines:
    if len(line) > COLUMNS and not command.fullmatch(line):
        print(f"{len(line)} columns: {line}")
print(f"{len(lines)} lines")
