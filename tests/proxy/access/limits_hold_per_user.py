import base64
def head(user):
    token = base64.b64encode(user.encode() + b":p").decode()
    return (f"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\nProxy-Authorization: Basic {token}\r\n\r\n").encode()
def tunnel(user):
    made = connect()
    made.sendall(head(user))
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += made.recv(4096)
    return int(answer.split(b" ")[1]), made
first, second = tunnel("a"), tunnel("a-session-1")
check("two tunnels", (first[0], second[0]), (200, 200))
check("the third", tunnel("a")[0], 429)
check("another user", tunnel("b")[0], 200)
check("by SOCKS5", socks("2001:db8:80::80", 80, credentials=(b"a", b"p"))[0], 2)
first[1].shutdown(socket.SHUT_RDWR)
eventually(lambda: tunnel("a")[0] == 200)
