# What systemd does for Type=notify-reload with WatchdogSec=1.
import os, signal, socket, subprocess, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = sys.argv[1] + "/notify"
manager.bind(path)
manager.settimeout(60)
proxy = subprocess.Popen(
    [os.environ["V6KIT"], "proxy", "--prefix", os.environ["V6KIT_LAB_PREFIX"], "--listen", "127.0.0.1:0", "--grace", "7s"],
    env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}, stdout=subprocess.DEVNULL)
def told(wanted):
    seen = []
    while wanted not in seen:
        seen += manager.recv(4096).decode().splitlines()
    return seen
told("READY=1")
told("STATUS=serving 0 connections")
for _ in range(4):
    told("WATCHDOG=1")
proxy.send_signal(signal.SIGHUP)
assert any(line.startswith("MONOTONIC_USEC=") for line in told("READY=1"))
told("WATCHDOG=1")
proxy.send_signal(signal.SIGTERM)
told("STOPPING=1")
assert proxy.wait(60) == 0
