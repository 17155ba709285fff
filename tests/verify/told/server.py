import socket, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
port, form, ready = int(sys.argv[1]), sys.argv[2], sys.argv[3]
asked, earlier = 0, {}
class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 200
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        global asked
        asked += 1
        caller = self.client_address[0]
        told = {
            # Who asked first with this path and query.
            "cache": lambda: earlier.setdefault(self.path, caller),
            # Every other one is asked by way of a proxy.
            "turns": lambda: caller if asked % 2 else "2001:db8:80::9",
            # Nobody but the host itself is told its address.
            "own": lambda: caller if caller == "2001:db8:1::2" else "2001:db8:80::9",
        }.get(form, lambda: form)()
        body = told.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = Server(("::", port), Handler)
open(ready, "w").close()
server.serve_forever()
