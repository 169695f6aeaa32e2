# SPDX-License-Identifier: Apache-2.0
"""Tells what a page in a browser asks from what a program does.

A browser of root on a node is the node by every other sign, and asks what any page
tells it to. It says so: in Origin where a page of elsewhere asks (RFC 6454, 7), in
Sec-Fetch-Site to an address of loopback (W3C Fetch Metadata), and, for a page whose
own name was made to lead here (DNS rebinding), by that name as Host. Kubelets and
kubectl call an address or a name without a dot, and send neither of the two fields.
"""

import re
from collections.abc import Mapping

_ELSEWHERE = frozenset({b"cross-site", b"same-site"})
_OURS = re.compile(
    rb"(?:[0-9.]+|\[[0-9a-f:.]+\]|[^.]*|.*\.localhost)(?::[0-9]*)?", re.IGNORECASE
)
"""Hosts that nobody else can have a page at: addresses, and names of this machine."""
WHY = (
    "a page in a browser asks nothing here: call 127.0.0.1 or localhost,"
    " without Origin and Sec-Fetch-Site"
)


def is_from_page(fields: Mapping[bytes, bytes]) -> bool:
    """Say whether a request to this machine's loopback may be a page's."""
    if fields.get(b"sec-fetch-site") in _ELSEWHERE:
        return True
    host = fields.get(b"host", b"")
    origin = fields.get(b"origin")
    if origin is not None and origin.partition(b"://")[2] != host:
        return True
    return _OURS.fullmatch(host) is None


def is_loopback(host: str) -> bool:
    """Say whether a socket's address is one that only this machine can call."""
    return host.startswith("127.") or host == "::1"
