#!/usr/bin/env bash
# What storing costs over not storing (CPU per record of about 320 bytes), and the bytes on the disk beside
# `gzip -6` of the same lines; by level, with --long, in every format, with a dictionary and without.
#
#   tests/bench/store.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
exec cargo bench --quiet --package v6kit-store --bench store
