#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs kubectl >= 1.32 where the machine has an older one or none: from the next
# suite of the machine's own Debian, by a copy of its own apt source with the suite's
# name changed, pinned low so that nothing else comes from there.
set -euo pipefail

minor() { kubectl version --client 2>/dev/null | sed -n 's/.*Client Version: v1\.\([0-9]*\).*/\1/p'; }

if [ "${FORCE:-}" = "" ] && [ "$(minor || true)" != "" ] && [ "$(minor)" -ge 32 ]; then
    exit 0
fi

. /etc/os-release
case "$VERSION_CODENAME" in
    bookworm) next=trixie ;;
    trixie) next=forky ;;
    *) echo "install_kubectl: no next suite is known for $VERSION_CODENAME" >&2; exit 1 ;;
esac
sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo

echo "install_kubectl: kubernetes-client from $next, pinned low" >&2
directory=/etc/apt/sources.list.d
if [ -f "$directory/debian.sources" ]; then
    sed -n '1,/^$/p' "$directory/debian.sources" |
        sed -e "s/^Suites:.*/Suites: $next/" | $sudo tee "$directory/toono-next.sources" >/dev/null
else
    grep -E "^deb .*$VERSION_CODENAME main" /etc/apt/sources.list | sed -n 1p |
        sed -e "s/$VERSION_CODENAME/$next/" | $sudo tee "$directory/toono-next.list" >/dev/null
fi
printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' "$next" |
    $sudo tee /etc/apt/preferences.d/toono-next >/dev/null
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq -t "$next" --no-install-recommends kubernetes-client
