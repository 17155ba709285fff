"""Sends two datagrams of one socket from two threads at once, many times; says for how many the peer saw two sources."""
import os, socket, sys, threading, ctypes

CLONE_NEWNET = 0x40000000
peer, client, far, flows = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
libc = ctypes.CDLL(None, use_errno=True)


def enter(pid):
    with open(f"/proc/{pid}/ns/net") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


enter(peer)
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
server.bind((far, 7))
enter(client)
split, sources = 0, set()
for flow in range(flows):
    one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    one.connect((far, 7))
    barrier = threading.Barrier(2)

    def send():
        barrier.wait()
        one.send(str(flow).encode())

    threads = [threading.Thread(target=send) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    seen = {server.recvfrom(64)[1][0] for _ in range(2)}
    split += len(seen) > 1
    sources |= seen
# The same socket after its flow was forgotten.
before = seen
assert os.system("nsenter --target %d --net -- conntrack -F >/dev/null 2>&1" % int(sys.argv[5])) == 0
one.send(b"again")
after = {server.recvfrom(64)[1][0]}
print(split, len(sources), before == after)
