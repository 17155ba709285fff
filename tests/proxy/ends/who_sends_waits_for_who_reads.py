piece = bytes(65536)
def stalls(name, sender, reader):
    """Sends until nothing more is taken for a while, then sees all of it arrive."""
    sent = 0
    raw = sender.made if isinstance(sender, Tls) else sender
    raw.settimeout(0.5)
    try:
        while sent < 1 << 28:
            sent += raw.send(piece) if raw is sender else (sender.sendall(piece), len(piece))[1]
    except TimeoutError:
        pass
    check(f"{name}: taken without end", sent < 1 << 26, True)
    raw.settimeout(60)
    got = 0
    while got < sent:
        got += len(reader.recv(65536))
for name, made, far in tunnels():
    # What TLS has taken for sending cannot be taken back: only its other way is tried.
    if not isinstance(made, Tls):
        stalls(f"{name}, up", made, far)
    stalls(f"{name}, down", far, made)
    made.close()
    far.close()
made = tcp(listening[0])
made.sendall(b"PUT http://[::1]:%d/ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (port, 1 << 30))
far, _ = server.accept()
far.settimeout(60)
stalls("a body, up", made, far)
far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
stalls("a body, down", far, made)
