import os, signal
pid = int(os.popen("pgrep -n -x v6kit").read())
code, _, made = socks("2001:db8:80::80", 80)
check("a tunnel", code, 0)
# A tunnel on a connection that carried a request before.
def head(made):
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += exactly(made, 1)
    return got.lower()
kept = connect()
kept.sendall(b"GET http://[2001:db8:80::80]/ HTTP/1.1\r\nHost: a\r\n\r\n")
exactly(kept, int(head(kept).split(b"content-length: ")[1].split(b"\r\n")[0]))
kept.sendall(b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\nHost: a\r\n\r\n")
check("CONNECT", head(kept)[:12], b"http/1.1 200")
os.kill(pid, signal.SIGTERM)
def refuses():
    try:
        connect().close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        # It was waiting to be accepted.
        pass
eventually(refuses)
for tunnel in (made, kept):
    tunnel.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert b"200 OK" in rest(tunnel)
