# shellcheck shell=bash disable=SC2034,SC2086,SC2154
timeout 60 python3 "$TERMINAL" "$LINE" "$V6KIT"
gone 'a terminal'
