#!/usr/bin/env python3
"""Draws a command as it looks in a terminal: runs it in a pseudo-terminal and writes an SVG.

    tests/docs/picture V6KIT            remakes the pictures of docs/
    picture.py OUT.svg COLUMNS PROMPT COMMAND ARG...
                                        draws a command on a terminal that wide, below a prompt with these words
    picture.py --text FILE.svg          prints what is drawn there, a line each

Rows of a terminal that moves its cursor are not understood: the commands drawn here print line by line.
"""

import fcntl
import os
import pty
import struct
import sys
import termios
import xml.etree.ElementTree as ElementTree

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

# Ours, in place of rich's own: an SVG in a page may load no font from elsewhere.
FRAME = """<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
THEME = TerminalTheme(
    (24, 27, 33),
    (214, 219, 227),
    [
        (24, 27, 33), (240, 113, 120), (145, 203, 115), (230, 180, 80),
        (97, 175, 239), (198, 140, 240), (86, 190, 200), (214, 219, 227),
    ],
)


def recorded(columns, command):
    """What `command` writes to a terminal that wide. It has to succeed."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.environ.update(TERM="xterm-256color", COLUMNS=str(columns), LINES="50")
        os.environ.pop("NO_COLOR", None)
        os.execvp(command[0], command)
    output = bytearray()
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the other side is closed
            break
        if not piece:
            break
        output += piece
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        sys.exit(f"error: {' '.join(command)} ended with {code}\n{output.decode(errors='replace')}")
    return output.decode().replace("\r\n", "\n")


def draw(columns, prompt, output):
    console = Console(record=True, width=columns, file=open(os.devnull, "w"), force_terminal=True, highlight=False)
    console.print(Text.assemble(("$ ", "bold green"), (prompt, "bold")))
    console.print(Text.from_ansi(output.rstrip("\n")))
    return console.export_svg(title="", theme=THEME, code_format=FRAME, unique_id="v6kit")


def drawn(svg):
    """The lines of text in a picture: the pieces of a row have the same `y`."""
    rows = {}
    for piece in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        if "x" in piece.attrib and piece.text:
            rows.setdefault(float(piece.attrib["y"]), []).append((float(piece.attrib["x"]), piece.text))
    lines = []
    for _, pieces in sorted(rows.items()):
        lines.append("".join(text for _, text in sorted(pieces)).replace("\N{NO-BREAK SPACE}", " ").rstrip())
    return lines


def main():
    if sys.argv[1] == "--text":
        with open(sys.argv[2], encoding="utf-8") as file:
            print("\n".join(drawn(file.read())))
        return
    out, columns, prompt, command = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    with open(out, "w", encoding="utf-8") as file:
        file.write(draw(columns, prompt, recorded(columns, command)))


main()
