import threading
listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
origin = f"[::1]:{listener.getsockname()[1]}"
heads = []
said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
def serve(made):
    read = made.makefile("rb")
    while True:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = read.readline()
            if not line:
                return
            head += line
        heads.append(head)
        if b"chunked" in head.lower():
            while size := int(read.readline(), 16):
                read.read(size + 2)
            while read.readline() != b"\r\n":
                pass
        made.sendall(said)
        if b"connection: close" in head.lower():
            return made.shutdown(socket.SHUT_RDWR)
def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
def get(path="/", fields="", version="1.1"):
    return f"GET http://{origin}{path} HTTP/{version}\r\nHost: {origin}\r\n{fields}\r\n".encode()
last = "Connection: close\r\n"
def field(head, name):
    return [line.split(b": ", 1)[1].decode() for line in head.split(b"\r\n\r\n")[0].split(b"\r\n")[1:] if line.lower().startswith(name + b":")]
