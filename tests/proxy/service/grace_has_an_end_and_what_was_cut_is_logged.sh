# shellcheck shell=bash
proxy --grace 1s --access-log "$T/log"
exec 3<>"/dev/tcp/${at/://}"
printf 'CONNECT %s:80 HTTP/1.1\r\n\r\n' "$target" >&3
read -r answer <&3
[[ $answer == "HTTP/1.1 200"* ]]
stop
is "$(jq -r .outcome "$T/log")" cut
# A second signal does not wait.
proxy --grace 1h
exec 4<>"/dev/tcp/${at/://}"
printf 'CONNECT %s:80 HTTP/1.1\r\n\r\n' "$target" >&4
read -r answer <&4
kill -TERM "$pid"
refuses() { ! (exec 5<>"/dev/tcp/${at/://}") 2>/dev/null; }
eventually refuses
kill -TERM "$pid"
wait "$pid"
