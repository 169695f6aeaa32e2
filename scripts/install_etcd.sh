#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts etcd and etcdctl >= 3.5.16 (older ones lose data when killed) into a directory of
# the user's own cache and prints the version: from the next suite of the machine's own
# Debian, by a private copy of its apt source, so that neither root nor a change of the
# machine is needed; where that suite has none, built with the machine's Go.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/toono
bin=$cache/bin
fallback=v3.5.21

good() {
    "$bin/etcdctl" version >/dev/null 2>&1 || return 1
    local version
    version=$("$bin/etcd" --version 2>/dev/null | sed -n 's/^etcd Version: //p')
    [ -n "$version" ] && [ "$(printf '3.5.16\n%s\n' "$version" | sort -V | sed -n 1p)" = 3.5.16 ]
}

from_debian() {
    . /etc/os-release
    local next
    case "${VERSION_CODENAME:-}" in
        bookworm) next=trixie ;;
        trixie) next=forky ;;
        *) return 1 ;;
    esac
    mkdir -p "$work/lists/partial" "$work/archives/partial"
    if [ -f /etc/apt/sources.list.d/debian.sources ]; then
        sed -n '1,/^$/p' /etc/apt/sources.list.d/debian.sources |
            sed -e "s/^Suites:.*/Suites: $next/" >"$work/next.sources"
    else
        grep -E "^deb .*$VERSION_CODENAME main" /etc/apt/sources.list | sed -n 1p |
            sed -e "s/$VERSION_CODENAME/$next/" >"$work/next.list"
    fi
    local options=(-qq -o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$work"
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work"
        -o "APT::Sandbox::User=$(id -un)")
    apt-get "${options[@]}" update &&
        (cd "$work" && apt-get "${options[@]}" download etcd-server etcd-client) || return 1
    local package
    for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
    install -m 0755 -t "$bin" "$work/root/usr/bin/etcd" "$work/root/usr/bin/etcdctl"
}

from_go() {
    command -v go >/dev/null || return 1
    mkdir -p "$work/etcd" "$work/etcdctl"
    printf 'package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\nfunc main() { etcdmain.Main(os.Args) }\n' >"$work/etcd/main.go"
    printf 'package main\n\nimport "go.etcd.io/etcd/etcdctl/v3/ctlv3"\n\nfunc main() { ctlv3.MustStart() }\n' >"$work/etcdctl/main.go"
    (
        cd "$work"
        go mod init toono/etcd
        go get "go.etcd.io/etcd/server/v3@$fallback" "go.etcd.io/etcd/etcdctl/v3@$fallback"
        go mod tidy
        go build -o "$bin/etcd" ./etcd
        go build -o "$bin/etcdctl" ./etcdctl
    ) >&2
}

if ! good; then
    mkdir -p "$bin"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    from_debian && good || { echo "install_etcd: not from Debian; building with Go" >&2; from_go; }
    good || { echo "install_etcd: no etcd >= 3.5.16 could be had" >&2; exit 1; }
fi
"$bin/etcd" --version | sed -n 1p
