import threading
def drip(first):
    made = connect()
    try:
        made.sendall(first)
        while True:
            made.sendall(b"x")
            made.settimeout(0.2)
            try:
                if not made.recv(4096):
                    return
            except TimeoutError:
                pass
    except (ConnectionResetError, BrokenPipeError):
        return
drips = [threading.Thread(target=drip, args=(first,)) for first in
         (b"\x05\x05\x00", b"CONNECT a:1 HTTP/1.1\r\nX: ", b"\x05\x01\x00\x05\x01\x00\x03\xff")]
for thread in drips: thread.start()
for thread in drips: thread.join()
silent = connect()
check("silence", rest(silent), b"")
