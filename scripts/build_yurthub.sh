#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds a real YurtHub from its Go module, once, and prints the program for the tests:
#
#     export TOONO_YURTHUB="$(scripts/build_yurthub.sh)"
#
# It is built as it was released: in its own module, with its own replacements and sums.
# Takes some five minutes of one core and 2 GB of disk for Go's caches the first time.
set -euo pipefail

version=v1.5.1
module=github.com/openyurtio/openyurt
sum="h1:4pSCjgzhAD5SIhbQydvQjcQFjBZ7aqcmmYOdYqHu4pY="
tools="${TOONO_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/toono/tools}"
program="$tools/yurthub-$version/yurthub"

if [ ! -x "$program" ]; then
    if ! command -v go >/dev/null; then
        echo "build_yurthub: LOUD: skipped, there is no go on this machine" >&2
        [ -z "${TOONO_CI:-}" ] || exit 1
        exit 0
    fi
    mkdir -p "$tools"
    work="$(mktemp -d "$tools/building.XXXXXX")"
    trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
    echo "build_yurthub: building into $(dirname "$program")" >&2
    told="$(cd "$work" && GOFLAGS=-mod=mod go mod download -json "$module@$version")"
    field() { sed -n "s/^\t\"$1\": \"\(.*\)\",*$/\1/p" <<<"$told"; }
    if [ "$(field Sum)" != "$sum" ]; then
        echo "build_yurthub: $module@$version has the sum $(field Sum), not $sum" >&2
        exit 1
    fi
    cp -r "$(field Dir)" "$work/source"
    chmod -R u+w "$work/source"
    mkdir "$work/bin"
    (
        cd "$work/source"
        go mod edit -go=1.21 # as go itself asks; what it requires stays
        nice -n 15 go build -p "${TOONO_BUILD_JOBS:-1}" -mod=readonly -buildvcs=false \
            -trimpath -ldflags "-s -w" -o "$work/bin/yurthub" ./cmd/yurthub
    ) >&2
    rm -rf "$(dirname "$program")"
    mv "$work/bin" "$(dirname "$program")"
fi
echo "$program"
