"""Serves the files of a directory and writes down who asked: files.py DIRECTORY CALLERS"""
import functools, http.server, socket, sys
directory, callers = sys.argv[1:]
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        with open(callers, "a") as lines:
            print(self.client_address[0], file=lines)
server = Server(("2001:db8:80::80", 8090), functools.partial(Handler, directory=directory))
print("ready", flush=True)
server.serve_forever()
