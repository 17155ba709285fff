import os
log = os.environ["LOG"]
held = [connect() for _ in range(3)]
for made in held:
    made.sendall(b"\x05\x01\x00")
    exactly(made, 2)
status, answer = http(b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\n\r\n")
check("CONNECT", (status, b"x-v6kit-error: full" in answer), (503, True))
status, answer = http(b"GET http://[2001:db8:80::80]/ HTTP/1.1\r\nHost: x\r\n\r\n")
check("forward", (status, b"x-v6kit-error: full" in answer), (503, True))
check("SOCKS5", socks("2001:db8:80::80", 80)[0], 1)
# Far above the bound there is no answer any more, but a line of the log.
held += [connect() for _ in range(256)]
lines = lambda: [line for line in open(log) if '"protocol":"unknown"' in line and '"outcome":"full"' in line]
while not lines():
    check("far above", rest(connect()), b"")
while held:
    held.pop().close()
eventually(lambda: socks("2001:db8:80::80", 80)[0] == 0)
