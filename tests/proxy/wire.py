"""Clients that speak to the proxy byte by byte, for tests of what no library would send."""

import socket
import struct
import sys
import time

from wait import eventually, pause

at = sys.argv[1]
# Where the test keeps its files.
T = sys.argv[2] if len(sys.argv) > 2 else None
host, port = at.rsplit(":", 1)


def connect():
    made = socket.create_connection((host, int(port)), timeout=60)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def exactly(made, count):
    got = b""
    while len(got) < count:
        piece = made.recv(count - len(got))
        if not piece:
            raise EOFError(f"{got!r}, then the end")
        got += piece
    return got


def rest(made):
    """Everything up to the end, which a reset is as well."""
    got = b""
    try:
        while piece := made.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def address(name, port):
    try:
        raw = socket.inet_pton(socket.AF_INET6, name)
        return b"\x04" + raw + struct.pack(">H", port)
    except OSError:
        pass
    try:
        raw = socket.inet_pton(socket.AF_INET, name)
        return b"\x01" + raw + struct.pack(">H", port)
    except OSError:
        name = name.encode()
        return b"\x03" + bytes([len(name)]) + name + struct.pack(">H", port)


def read_address(made):
    kind = exactly(made, 1)[0]
    length = {1: 4, 4: 16}[kind]
    raw = exactly(made, length)
    (port,) = struct.unpack(">H", exactly(made, 2))
    return socket.inet_ntop({1: socket.AF_INET, 4: socket.AF_INET6}[kind], raw), port


def greet(made, credentials=None):
    """None, or why the greeting went no further."""
    made.sendall(b"\x05\x01\x00" if credentials is None else b"\x05\x01\x02")
    version, method = exactly(made, 2)
    assert version == 5
    if method == 0xFF:
        return "method"
    if credentials is not None:
        user, password = credentials
        made.sendall(b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
        if exactly(made, 2) != b"\x01\x00":
            return "credentials"
    return None


def socks(name, port, command=1, credentials=None):
    """The reply code, the address that was told, the connection."""
    made = connect()
    stopped = greet(made, credentials)
    if stopped:
        return stopped, None, made
    made.sendall(bytes([5, command, 0]) + address(name, port))
    version, code, _ = exactly(made, 3)
    assert version == 5
    return code, read_address(made), made


def http(raw):
    """The status of the first response and everything that came."""
    made = connect()
    try:
        made.sendall(raw)
    except (BrokenPipeError, ConnectionResetError):
        pass
    answer = rest(made)
    if not answer:
        return 0, answer
    return int(answer.split(b" ", 2)[1]), answer


def check(name, found, wanted):
    if found != wanted:
        sys.exit(f"{name}: {found!r} instead of {wanted!r}")
