import http.server, json, os, socket

class Guard(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        token = open(os.environ["T"] + "/token").read()
        is_known = self.headers["X-Auth-Token"] == token
        answer = json.dumps({"body": body, "page": self.headers["X-Page"]}) if is_known else "{}"
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

server = Server(("::1", 0), Guard)
print(server.server_port, flush=True)
server.serve_forever()
