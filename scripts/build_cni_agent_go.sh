#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds examples/cni-agent-go as it is locked, once for each state of its files, and
# prints the program.
set -euo pipefail

source="$(cd "$(dirname "$0")/../examples/cni-agent-go" && pwd)"
tools="${TOONO_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/toono/tools}"
state="$(cat "$source"/main.go "$source"/go.mod "$source"/go.sum | sha256sum | cut -c 1-16)"
program="$tools/cni-agent-go-$state/cni-agent-go"

if [ ! -x "$program" ]; then
    if ! command -v go >/dev/null; then
        echo "build_cni_agent_go: LOUD: skipped, there is no go on this machine" >&2
        [ -z "${TOONO_CI:-}" ] || exit 1
        exit 0
    fi
    mkdir -p "$(dirname "$program")"
    work="$(mktemp -d "$(dirname "$program")/building.XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    echo "build_cni_agent_go: building $program" >&2
    (
        cd "$source"
        GOFLAGS=-mod=readonly nice go build -p "${TOONO_BUILD_JOBS:-1}" -buildvcs=false \
            -trimpath -ldflags "-s -w" -o "$work/cni-agent-go" .
    ) >&2
    mv "$work/cni-agent-go" "$program" # whole or not there
fi
echo "$program"
