import socket, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        body = (self.client_address[0] + "\n" + "x" * 5000).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = Server(("::", 9000), Handler)
open(sys.argv[1], "w").close()
server.serve_forever()
