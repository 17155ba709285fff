# shellcheck shell=bash
set_up
mkfifo "$T/started"
in_target python3 -c '
import socket, sys
listener = socket.create_server(("::", 9022), family=socket.AF_INET6, backlog=200)
open(sys.argv[1], "w").close()
while True:
    caller, _ = listener.accept()
    caller.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    caller.recv(100)
    caller.close()
' "$T/started" &
: < "$T/started"
plain=${V6KIT_LAB_TARGET%/}
V6KIT_LAB_TARGET=$plain:9022 say
V6KIT_LAB_TARGET=https://${plain#http://}:80 say
kill %1
