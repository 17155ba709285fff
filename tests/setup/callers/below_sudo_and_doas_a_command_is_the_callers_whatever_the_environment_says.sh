# shellcheck shell=bash disable=SC2034,SC2086,SC2154
for tool in sudo doas 'sudo sudo' 'sudo SUDO_UID=0 SUDO_GID=0' 'sudo env SUDO_UID=0'; do
    same "$(alice "$tool $LINE -- bash -c '$WHO'")" "$HERS"
    gone "$tool"
done
