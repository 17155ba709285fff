# More than the buffers of a socket, so that the end comes behind bytes that wait.
much = bytes(range(256)) * 16384
for name, made, far in tunnels():
    made.sendall(b"question")
    made.shutdown(socket.SHUT_WR)
    check(f"{name}: what the destination hears", to_the_end(far), b"question")
    answer = beside(lambda: (far.sendall(much), far.close()))
    check(f"{name}: the answer", to_the_end(made) == much, True)
    answer.join()
    made.close()
for name, made, far in tunnels():
    far.sendall(b"greeting")
    far.shutdown(socket.SHUT_WR)
    check(f"{name}: what the client hears", to_the_end(made), b"greeting")
    more = beside(lambda: (made.sendall(much), made.shutdown(socket.SHUT_WR)))
    check(f"{name}: what comes late", to_the_end(far) == much, True)
    more.join()
    far.close()
    made.close()
