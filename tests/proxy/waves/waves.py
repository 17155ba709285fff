import os, random, re, subprocess, sys, urllib.request
from wait import eventually, pause
at, metrics, pid, scratch = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
seed = int.from_bytes(os.urandom(4), "big")
print("seed", seed, file=sys.stderr, flush=True)
random.seed(seed)
WAVES, CLIENTS, EACH = 20, 2, 500
def server(port):
    run = subprocess.Popen([sys.executable, scratch + "/server.py", str(port)], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True)
    return run, int(run.stdout.readline())
def client():
    return subprocess.Popen([sys.executable, scratch + "/client.py", at, ",".join(map(str, ports)), str(EACH),
                             str(random.getrandbits(32))], stderr=subprocess.DEVNULL)
def counter(name):
    page = urllib.request.urlopen(f"http://{metrics}/metrics", timeout=60).read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.]+)$", page, re.M))
def descriptors():
    listed = subprocess.run(["find", f"/proc/{pid}/fd", "-type", "l", "-printf", "%l\n"], capture_output=True, text=True)
    return listed.stdout.splitlines()
def sockets():
    """Descriptors that are not of the few pipes which threads keep for the next bulk transfer."""
    return sum(not link.startswith("pipe:") for link in descriptors())
def memory():
    return int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])
def wait_for_the_last():
    open_now = lambda: counter("v6kit_proxy_connections")
    eventually(lambda: open_now() == 0, lambda: f"{open_now()} connections do not end")
before = sockets()
servers = [server(0) for _ in range(3)]
ports = [port for _, port in servers]
sizes = []
for wave in range(WAVES):
    clients = [client() for _ in range(CLIENTS)]
    # In each wave a server ends without a word, and in every fourth a client.
    pause(random.uniform(0.1, 0.6))
    if wave % 4 == 0:
        clients[0].kill()
    victim = random.randrange(len(servers))
    servers[victim][0].kill()
    servers[victim][0].wait()
    servers[victim] = server(servers[victim][1])
    for run in clients:
        run.wait()
    if wave % 2:
        wait_for_the_last()
        sizes.append(memory())
for run, _ in servers:
    run.kill()
    run.wait()
wait_for_the_last()
# What was kept for a session is gone with its origin.
eventually(lambda: sockets() <= before, lambda: f"{sockets()} descriptors, {before} before")
pipes = len(descriptors()) - sockets()
assert pipes <= 2 * 2 * 32, pipes
# An allocator keeps now more, now less for itself: what leaks is there when it keeps least.
grown = min(sizes[WAVES // 4:]) - min(sizes[:WAVES // 4])
ended = lambda: counter("v6kit_proxy_requests_total")
print("ended:", ended(), "KB grown:", grown, file=sys.stderr)
assert grown < 4096, f"{grown} KB more after the second half"
assert ended() > WAVES * CLIENTS * EACH / 2, ended()
lines = lambda: sum(1 for _ in open(scratch + "/log")) + counter("v6kit_proxy_log_lines_dropped_total")
eventually(lambda: lines() == ended(), lambda: f"{lines()} lines for {ended()} ends")
