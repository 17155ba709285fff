# What systemd does: one listening socket, passed to each new process as descriptor 3.
import os, signal, socket, subprocess, sys, threading
from wait import eventually
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 0))
listener.listen(1024)
at = "127.0.0.1:%d" % listener.getsockname()[1]
def start():
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.dup2(write, 1)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="proxy")
        os.execv(os.environ["V6KIT"], ["v6kit", "proxy", "--json", "--prefix", os.environ["V6KIT_LAB_PREFIX"]])
    os.close(write)
    ready = os.fdopen(read).readline()
    assert at in ready, ready
    return pid
stop = threading.Event()
asked, failed = [], []
def ask():
    while not stop.is_set():
        run = subprocess.run(["curl", "-sS", "-g", "-m", "60", "-p", "-x", "http://" + at, os.environ["V6KIT_LAB_TARGET"]],
            capture_output=True, text=True)
        (asked if run.returncode == 0 else failed).append(run.stdout + run.stderr)
pid = start()
askers = [threading.Thread(target=ask) for _ in range(3)]
for asker in askers: asker.start()
for _ in range(4):
    before = len(asked)
    eventually(lambda: len(asked) >= before + 10)
    new = start()
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    pid = new
stop.set()
for asker in askers: asker.join()
os.kill(pid, signal.SIGTERM)
os.waitpid(pid, 0)
assert not failed, failed[:3]
assert len(set(asked)) == len(asked) >= 40
