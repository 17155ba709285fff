def server(ip):
    made = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((ip, 0))
    made.settimeout(60)
    return made
def associate():
    code, relay, control = socks("0.0.0.0", 0, command=3)
    check("ASSOCIATE", code, 0)
    mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mine.settimeout(60)
    mine.connect(relay)
    return mine, control
def ask(mine, name, at, payload):
    """Sends to the server `at`, called `name`, which answers; whom it saw."""
    port = at.getsockname()[1]
    mine.send(b"\0\0\0" + address(name, port) + payload)
    got, source = at.recvfrom(65536)
    check("the payload", got, payload)
    at.sendto(b"back" + got, source)
    ip = at.getsockname()[0]
    check("the answer", mine.recv(65536), b"\0\0\0" + address(ip, port) + b"back" + payload)
    return source[0]
import json
def outcomes(count):
    """The ends of so many associations."""
    while len(lines := open(f"{T}/log").read().splitlines()) < count:
        pass
    return [json.loads(line)["outcome"] for line in lines]
