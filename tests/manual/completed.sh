# shellcheck shell=bash
# A prefix that is set up, a crawl, a directory beside it, and no network but this.
ip link add up0 type veth peer name down0
ip link set up0 up
v6kit setup --prefix 2001:db8:1::/64 --dev up0 -q
cd "$T"
mkdir itself
v6kit crawl 'http://[::1]:9/{1..2}' -o items -r max --retries 0 --keep-free 1M -q >/dev/null 2>&1 || true
for shell in bash zsh fish; do v6kit completions $shell >"$T/v6kit.$shell"; done
