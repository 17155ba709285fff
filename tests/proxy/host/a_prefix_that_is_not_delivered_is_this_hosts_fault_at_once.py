import subprocess
target = "2001:db8:80::80"
warned = open(f"{T}/proxy.err").read()
check("said at the start", ("is not delivered to this host" in warned, "v6kit setup --prefix 2001:db8:6::/64" in warned), (True, True))
def refused(name):
    began = time.monotonic()
    for request in (b"CONNECT [%s]:80 HTTP/1.1\r\n\r\n", b"GET http://[%s]/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
        status, answer = http(request % target.encode())
        check(name, (status, b"not_delivered" in answer, b"v6kit setup --prefix" in answer), (503, True, True))
    check(name + ": SOCKS5", socks(target, 80)[0], 3)
    check(name + ": a datagram", socks("::", 0, command=3)[0], 3)
refused("from the start")
# What the host's own address reaches is reached all the same, and the prefix as soon as it is delivered.
def route(what):
    subprocess.run(["ip", "-6", "route", what, "local", "2001:db8:6::/64", "dev", "lo"], check=True)
route("add")
while http(b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\n\r\nGET / HTTP/1.0\r\n\r\n")[0] != 200:
    pass
check("a destination that refuses is not the host", http(b"CONNECT [2001:db8:80::80]:99 HTTP/1.1\r\n\r\n")[0], 502)
# Gone while it serves: seen with the first connection that gets no answer.
route("del")
refused("gone")
