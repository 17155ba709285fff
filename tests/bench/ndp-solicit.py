"""Sends neighbour solicitations out of a device, each for another address of a prefix.

Prints how many were sent and in how many seconds. Root in the network namespace is needed.

    ndp-solicit.py DEVICE PREFIX::/64 SECONDS RATE      RATE is per second, or "max"
"""

import fcntl
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "harness"))

from wait import pause  # noqa: E402


def mac_of(device):
    # SIOCGIFHWADDR of netdevice(7); sysfs may be that of another network namespace.
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, 0x8927, struct.pack("256s", device.encode()))[18:24]


def link_local_of(device):
    with open("/proc/net/if_inet6") as file:
        for line in file:
            address, _, _, scope, _, name = line.split()
            if name == device and scope == "20":
                return bytes.fromhex(address)
    sys.exit(f"{device} has no link-local address")


def solicitation(mac, source, target):
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[13:]
    message = struct.pack("!BBHI", 135, 0, 0, 0) + target + b"\1\1" + mac
    data = source + group + struct.pack("!II", len(message), 58) + message
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    message = message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]
    header = struct.pack("!IHBB", 0x60000000, len(message), 58, 255)
    return b"\x33\x33\xff" + target[13:] + mac + b"\x86\xdd" + header + source + group + message


def main():
    device, prefix, seconds, rate = sys.argv[1:]
    network = socket.inet_pton(socket.AF_INET6, prefix.split("/")[0])[:8]
    mac, source = mac_of(device), link_local_of(device)
    frames = [solicitation(mac, source, network + struct.pack("!Q", n)) for n in range(1, 20001)]
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind((device, 0))
    seconds = float(seconds)
    pace = None if rate == "max" else float(rate)
    start = time.monotonic()
    sent = 0
    while (elapsed := time.monotonic() - start) < seconds:
        due = sent + 64 if pace is None else min(int(elapsed * pace), sent + 64)
        if due == sent:
            pause(0.0005)
        for n in range(sent, due):
            link.send(frames[n % len(frames)])
        sent = due
    print(sent, f"{time.monotonic() - start:.3f}")


main()
