#!/bin/sh
# Crawl, or serve as a proxy, in a container without any capability.
#
# The prefix is set up once on the host (`sudo v6kit setup --prefix P --dev DEV --persist`); the container shares the
# host's network. A socket of v6kit sends from any address of it without a privilege (IP_FREEBIND), so that nothing is
# added: no capability, no sysctl, no /dev. Root, CAP_NET_ADMIN and writable sysctls are what `v6kit setup` needs, and
# that is why it stays outside: fs.nr_open, fs.file-max and nf_conntrack_max belong to the machine, and a container
# cannot change them.
#
#   sh run.sh crawl 'https://api.example.org/items/{1..1000000}' --prefix 2001:db8:6::/64 -o /data/items
#   sh run.sh proxy --prefix 2001:db8:6::/64
set -eu

exec podman run --rm --interactive --init \
    --network host \
    --cap-drop all \
    --security-opt no-new-privileges \
    --read-only \
    --ulimit nofile=65536:65536 \
    --userns keep-id:uid=1000,gid=1000 \
    --volume "${V6KIT_DATA:-$PWD}:/data" \
    localhost/v6kit "$@"
