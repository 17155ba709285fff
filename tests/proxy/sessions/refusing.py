"""An origin that refuses: /once 429 to the address that asks first, when 50 requests of it wait; /never 403 to everybody."""
import http.server, socket, sys, threading


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    together = threading.Barrier(50)
    first = []
    lock = threading.Lock()

    def do_GET(self):
        who, status = self.client_address[0], 200
        if self.path.startswith("/once"):
            with self.lock:
                self.first.append(who)
            if who == self.first[0]:
                self.together.wait(60)
                status = 429
        elif self.path.startswith("/never"):
            status = 403
        elif self.path == "/fields":
            who = " ".join(sorted(name.lower() for name in self.headers))
        body = f"{who}\n".encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = Server((sys.argv[1], 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
