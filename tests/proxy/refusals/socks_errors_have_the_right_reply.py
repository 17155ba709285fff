target = "2001:db8:80::80"
for name, port, wanted in [
    (target, 80, 0),
    (target, 99, 5),
    ("2001:db8:99::1", 80, 6),
    ("2001:db8:98::1", 80, 3),
    ("2001:db8:97::1", 80, 3),
    ("nowhere.invalid", 80, 4),
    ("192.0.2.7", 80, 2),
    ("::1", 80, 2),
    ("fe80::1", 80, 2),
    ("localhost", 80, 2),
    ("not a name", 80, 1),
    (target, 0, 1),
]:
    code, _, _ = socks(name, port)
    check(name, code, wanted)
check("BIND", socks(target, 80, command=2)[0], 7)
check("command 9", socks(target, 80, command=9)[0], 7)
made = connect()
greet(made)
made.sendall(b"\x05\x01\x00\x09")
check("address type 9", exactly(made, 2), b"\x05\x08")
code, bound, made = socks(target, 80)
made.sendall(b"GET / HTTP/1.0\r\n\r\n")
seen = rest(made).split(b"\r\n\r\n")[1].strip().decode()
check("the told address", bound[0], seen)
