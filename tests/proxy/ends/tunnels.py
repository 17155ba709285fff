from wire import *
import os, ssl, threading, wire

listening = os.environ["LISTENING"].splitlines()
server = socket.create_server(("::1", 0), family=socket.AF_INET6)
server.settimeout(60)
port = server.getsockname()[1]

def tcp(listener):
    host, port = listener.removeprefix("tls://").rsplit(":", 1)
    made = socket.create_connection((host, int(port)), timeout=60)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made

class Tls:
    """TLS over a socket, which the ssl module's own sockets cannot close by half."""
    def __init__(self, made):
        self.made, self.taken, self.given = made, ssl.MemoryBIO(), ssl.MemoryBIO()
        trusted = ssl.create_default_context(cafile=os.environ["CERT"])
        self.tls = trusted.wrap_bio(self.taken, self.given, server_hostname="127.0.0.1")
        self.step(self.tls.do_handshake)
    def step(self, action, *arguments):
        while True:
            try:
                return action(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                piece = self.made.recv(65536)
                self.taken.write(piece) if piece else self.taken.write_eof()
            finally:
                self.flush()
    def flush(self):
        if waiting := self.given.read():
            self.made.sendall(waiting)
    def sendall(self, data):
        for at in range(0, len(data), 16384):
            self.step(self.tls.write, data[at:at + 16384])
    def recv(self, count):
        try:
            return self.step(self.tls.read, count)
        except ssl.SSLZeroReturnError:
            return b""
    def shutdown(self, how):
        # close_notify; what the other side still has to say is read afterwards.
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()
        self.made.shutdown(how)
    def close(self):
        self.made.close()

def unix(listener):
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(60)
    made.connect(listener.removeprefix("unix:"))
    return made

def reach(listener):
    if listener.startswith("tls:"): return Tls(tcp(listener))
    if listener.startswith("unix:"): return unix(listener)
    return tcp(listener)

def by_connect(listener, port):
    made = reach(listener)
    made.sendall(b"CONNECT [::1]:%d HTTP/1.1\r\n\r\n" % port)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(made, 1)
    check("CONNECT", head.split(b" ")[1], b"200")
    return made

def by_socks(listener, port):
    wire.connect = lambda: reach(listener)
    code, _, made = socks("::1", port)
    check("SOCKS5", code, 0)
    return made

def tunnels():
    for listener in listening:
        for form in (by_connect, by_socks):
            made = form(listener, port)
            far, _ = server.accept()
            far.settimeout(60)
            yield f"{form.__name__} over {listener}", made, far

def to_the_end(made):
    """Everything up to a clean end."""
    got = b""
    while piece := made.recv(65536):
        got += piece
    return got

def beside(action, *arguments):
    thread = threading.Thread(target=action, args=arguments)
    thread.start()
    return thread
