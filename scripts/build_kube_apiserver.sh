#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds a real kube-apiserver 1.34 and etcd 3.5 from the Go modules that
# scripts/kube-apiserver/ locks, once, and prints their directory for the tests:
#
#     export KUBEBUILDER_ASSETS="$(scripts/build_kube_apiserver.sh)"
#
# Takes some ten minutes of one core and 3 GB of disk for Go's caches the first time.
set -euo pipefail

kubernetes=1.34.0
tools="${TOONO_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/toono/tools}"
locked="$(cd "$(dirname "$0")/kube-apiserver" && pwd)"
sum="$(cat "$locked"/go.sum "$locked"/etcd/go.sum | sha256sum | cut -c1-12)"
directory="$tools/kube-apiserver-$kubernetes-$sum"

if [ ! -x "$directory/kube-apiserver" ] || [ ! -x "$directory/etcd" ]; then
    if ! command -v go >/dev/null; then
        echo "build_kube_apiserver: LOUD: skipped, there is no go on this machine" >&2
        [ -z "${TOONO_CI:-}" ] || exit 1
        exit 0
    fi
    mkdir -p "$tools"
    work="$(mktemp -d "$tools/building.XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    echo "build_kube_apiserver: building into $directory" >&2
    cp -r "$locked" "$work/locked"
    mkdir "$work/bin"
    build() { (cd "$1" && nice -n 15 go build -p "${TOONO_BUILD_JOBS:-1}" -mod=readonly -trimpath "${@:2}") >&2; }
    version="-X k8s.io/component-base/version.gitVersion=v$kubernetes"
    version="$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
    build "$work/locked/etcd" -o "$work/bin/etcd" go.etcd.io/etcd/server/v3
    build "$work/locked" -ldflags "-s -w $version" -o "$work/bin/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
    rm -rf "$directory"
    mv "$work/bin" "$directory"
fi
echo "$directory"
