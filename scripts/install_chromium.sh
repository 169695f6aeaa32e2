#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the machine's own Debian's Chromium where there is none: the status page is
# laid out in a real browser by tests/interop/test_status_page.py.
set -euo pipefail

if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then
    exit 0
fi
sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends chromium
