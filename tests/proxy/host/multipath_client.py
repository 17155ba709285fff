import os, socket, sys, threading
proxy, target = ("::1", int(sys.argv[1])), sys.argv[2]
bulk = os.urandom(8 << 20)
origin = socket.create_server(("::1", 0), family=socket.AF_INET6)
def serve():
    made, _ = origin.accept()
    got = b""
    while len(got) < len(bulk):
        got += made.recv(1 << 20)
    made.sendall(got)
    made.close()
threading.Thread(target=serve, daemon=True).start()
def connect():
    made = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
    made.settimeout(60)
    made.connect(proxy)
    return made
made = connect()
made.sendall(f"GET http://{target}/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
assert made.recv(65536).startswith(b"HTTP/1.1 200"), "forward"
made = connect()
made.sendall(f"CONNECT [::1]:{origin.getsockname()[1]} HTTP/1.1\r\n\r\n".encode())
assert made.recv(65536).startswith(b"HTTP/1.1 200"), "CONNECT"
threading.Thread(target=made.sendall, args=(bulk,), daemon=True).start()
got = b""
while piece := made.recv(1 << 20):
    got += piece
assert got == bulk, f"{len(got)} bytes came back"
