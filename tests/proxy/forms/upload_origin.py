import hashlib, http.server, socket, sys
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def body(self):
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers["content-length"])
            while left:
                piece = self.rfile.read(min(left, 65536))
                left -= len(piece)
                yield piece
    def do_PUT(self):
        digest = hashlib.sha256()
        for piece in self.body():
            digest.update(piece)
        answer = (digest.hexdigest() + " " + self.client_address[0] + "\n").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_):
        pass
server = Server(("::1", 0), Handler)
open(sys.argv[1] + ".new", "w").write(str(server.server_port))
import os; os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
