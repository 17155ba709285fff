"""Keys of a terminal reach the program as if it had been started directly: terminal.py V6KIT PREFIX"""
import os, pty, signal, sys, termios
v6kit, prefix = sys.argv[1:]

def start(*program):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(v6kit, [v6kit, "exec", "-q", "--prefix", prefix, "--", *program])
    return pid, terminal

def read_until(terminal, word):
    text = b""
    while word not in text:
        text += os.read(terminal, 1000)

# Ctrl-C ends it, and whoever waits sees the signal.
pid, terminal = start("sh", "-c", "echo ready; exec tail -f /dev/null")
read_until(terminal, b"ready")
os.write(terminal, b"\x03")
_, status = os.waitpid(pid, 0)
assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT, status
# A program that handles it goes on, and is told once.
pid, terminal = start("sh", "-c", "trap 'echo got' INT; echo ready; until read line; do :; done; echo line=$line; exit 9")
read_until(terminal, b"ready")
os.write(terminal, b"\x03")
read_until(terminal, b"got")
os.write(terminal, b"typed\n")
read_until(terminal, b"line=typed")
_, status = os.waitpid(pid, 0)
assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 9, status
