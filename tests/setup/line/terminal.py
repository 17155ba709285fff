"""A shell on a terminal of its own, in which the line is typed."""

import os, pty, re, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
seen = b""
def until(pattern):
    global seen
    while not re.search(pattern, seen):
        seen += os.read(fd, 65536)
    seen = seen[re.search(pattern, seen).end():]
def type(keys):
    os.write(fd, keys)
line = sys.argv[1].encode()
type(b"PS1=ready$; set +o errtrace\n"); until(rb"\nready\$")
type(line + b" -- cat\n"); until(rb"set up \(")
type(b"hello\n"); until(rb"hello\r\nhello\r\n")
type(b"\x1a"); until(rb"Stopped"); until(rb"ready\$")
type(b"fg\n"); until(rb"cat")
type(b"again\n"); until(rb"again\r\nagain\r\n")
type(b"\x03"); until(rb"ready\$")
type(b"echo code=$?\n"); until(rb"code=130")
# Asked for, as it is on-link; what is typed afterwards is the command's.
type(sys.argv[2].encode() + b" setup --no-verify -- head -1\n"); until(rb"yours\? \[y/N\] ")
type(b"y\nmine\n"); until(rb"mine\r\n"); until(rb"mine\r\n"); until(rb"ready\$")
type(sys.argv[2].encode() + b" setup --no-verify -- head -1\n"); until(rb"yours\? \[y/N\] ")
type(b"n\n"); until(rb"error: no prefix is given"); until(rb"ready\$")
type(b"exit 0\n")
os.waitpid(pid, 0)
