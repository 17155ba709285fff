import socket, sys
from wait import pause
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        caller = self.client_address[0]
        if caller.startswith("2001:db8:6:"): pause(1.5)
        self.send_response(200)
        self.send_header("Content-Length", str(len(caller)))
        self.end_headers()
        self.wfile.write(caller.encode())
server = Server(("::", int(sys.argv[1])), Handler)
open(sys.argv[2], "w").close()
server.serve_forever()
