"""Answers each datagram with the address that it came from. It says when it listens."""
import socket
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("2001:db8:80::80", 7007))
print("ready", flush=True)
while True:
    _, peer = server.recvfrom(2048)
    server.sendto(f"{peer[0]} {peer[1]}".encode(), peer)
