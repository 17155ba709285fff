import socket, sys
from wait import pause
prefix, target = sys.argv[1:]
sockets = []
for n in range(2000):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND
    s.bind((f"{prefix}1:{n:x}", 0))
    s.connect((target, 9))
    s.send(b"x")
    s.setblocking(False)
    sockets.append(s)
    pause(1 / 30)
# For the last answers.
pause(1)
came_back = 0
for s in sockets:
    try:
        s.recv(1)
    except ConnectionRefusedError:
        came_back += 1
    except BlockingIOError:
        pass
print("came back:", came_back)
