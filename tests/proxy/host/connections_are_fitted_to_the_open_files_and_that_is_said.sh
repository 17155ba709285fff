# shellcheck shell=bash
ulimit -n 556
# Without the privilege to raise it again.
limited() {
    exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource -- "$V6KIT" proxy --json --listen 127.0.0.1:0 "$@"
}
mkfifo "$T/ready"
for asked in "" "--max-connections 5000" "--max-connections 50"; do
    # shellcheck disable=SC2086
    limited $asked > "$T/ready" 2> "$T/err" &
    pid=$!
    read -r ready < "$T/ready"
    at=$(jq -r '.listening[0]' <<<"$ready")
    case $asked in
        "") grep -q 'at most 100 client connections at a time: 556 open files' "$T/err" ;;
        *5000) grep -q 'at most 100 client connections at a time, not 5000: 556 open files.*raise `ulimit -n` to 15256' "$T/err" ;;
        *) grep 'at most' "$T/err" && exit 1 ;;
    esac
    kill -TERM "$pid" && wait "$pid"
done
