import http.server, socket

BODIES = [
    ("application/json", b'{\n "a": {"b": [1, 2.50]},\r\n "c": "\xc3\xa9\\u0000\\ud83d\\ude00" }\n'),
    ("text/html; charset=utf-8", "<p>\"é\"\t\r\n\\ \x7f</p>".encode()),
    ("image/png", b"\x89PNG\r\n\x1a\n\0\xff"),
    ("text/plain", b"12"),
    ("application/json", b"12"),
    ("text/plain", b""),
    ("application/json", b'"text"'),
]

class Odd(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind, body = BODIES[int(self.path.rsplit("/", 1)[1])]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("X-Twice", "1")
        self.send_header("X-Twice", "2")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (body[:5], body[5:]):
            if part:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    do_POST = do_GET

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

server = Server(("::1", 0), Odd)
print(server.server_port, flush=True)
server.serve_forever()
