# shellcheck shell=bash
set_up
large
patience=2s
# A link of 1280 bytes, behind a filter that lets nobody hear of it.
in_router nft add table ip6 f
in_router nft "add chain ip6 f out { type filter hook output priority 0; }"
in_router nft add rule ip6 f out icmpv6 type packet-too-big drop
in_router ip link set wan mtu 1280
say
# The same for what comes back.
in_router ip link set wan mtu 1500
in_router ip link set lan mtu 1280
V6KIT_LAB_TARGET=http://[2001:db8:80::80]:9000 say
in_router ip link set lan mtu 1500
V6KIT_LAB_TARGET=http://[2001:db8:80::80]:9000 say
# Both ends take more than what is between them.
ip link set "$V6KIT_LAB_DEV" mtu 5000
in_target ip link set "$(in_target ip -6 -j route get 2001:db8:6::1 | jq -r '.[0].dev')" mtu 5000
say
