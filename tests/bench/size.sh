#!/usr/bin/env bash
# The size of the static binary for x86_64 with all features and with none.
#
#   tests/bench/size.sh [PROFILE]      default: release
set -euo pipefail
cd "$(dirname "$0")/../.."

profile=${1:-release}
target=x86_64-unknown-linux-musl

measure() { # what it is called, options of .ci/release
    .ci/release static ${2:+"$2"} "$profile" $target >&2
    printf '%-24s %s bytes\n' "$1" "$(stat --format %s "target/$target/$profile/v6kit")"
}

measure "no default features" --slim
measure "all features"
