at_once = struct.pack("ii", 1, 0)
def torn(made):
    # For TLS the end without close_notify is one as well.
    try:
        to_the_end(made)
    except (ConnectionResetError, ssl.SSLError):
        return True
    return False
for _ in range(40):
    for name, made, far in tunnels():
        far.sendall(b"half of it")
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        far.close()
        # A Unix socket has no reset: its peer cannot be told.
        assert "unix:" in name or torn(made), f"{name}: a reset arrived as an end"
        made.close()
for name, made, far in tunnels():
    made.sendall(b"half of it")
    if "unix:" in name:
        exactly(far, 10)
        far.shutdown(socket.SHUT_WR)
        to_the_end(made)
    else:
        (made.made if isinstance(made, Tls) else made).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    made.close()
    assert "unix:" in name or torn(far), f"{name}: a reset arrived as an end"
    far.close()
