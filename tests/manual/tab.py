"""What TAB makes of a line in a shell on a terminal.

usage: tab.py SHELL SCRIPT WHEN LINE...
SHELL is bash, zsh or fish; SCRIPT is its completion, read WHEN: `before` or `after` the completion of the shell itself
is switched on. Prints each line as it stands after TAB.
"""

import os
import pty
import re
import sys

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
shell, script, when, lines = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb" if shell != "fish" else "xterm", COLUMNS="200", LC_ALL="C.UTF-8")
    os.environ["INPUTRC"] = "/dev/null"
    os.execvp(shell, SHELLS[shell])
seen = ""


def plain(text):
    return re.sub(r"\x1b\][^\x07]*\x07|\x1b[\[(][0-9;?]*[A-Za-z=]?|\x1b[=>]|\r", "", text)


def until(pattern):
    global seen
    while not re.search(pattern, plain(seen)):
        try:
            seen += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # EIO: the other side is closed
            sys.exit(f"never seen: {pattern}\n{plain(seen)}")
    found = re.search(pattern, plain(seen))
    seen = ""
    return found


def type(keys):
    os.write(terminal, keys.encode())


PREPARE = {
    "bash": f"PS1=; bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; source {script}",
    "zsh": {
        "after": f"PS1=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -D -u; source {script}",
        "before": f"PS1=; source {script}; autoload -Uz compinit; compinit -D -u",
    },
    "fish": f"function fish_prompt; end; source {script}",
}
prepare = PREPARE[shell]
type((prepare[when] if isinstance(prepare, dict) else prepare) + "; echo rea''dy\n")
until("ready\n")
for line in lines:
    # The line is an assignment's value: the shell prints what it came to, and runs nothing.
    type(line + "\t")
    type("\x01" + "echo '<" + "\x05" + ">'\n")
    found = until(r"\n<(.*?)>\s*\n|\n<(.*?)>$")
    print((found[1] or found[2] or "").rstrip())
type("exit 0\n")
