# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of a process that may call: user, groups, network, token.

For people who ask why somebody hears what it hears; requests are judged by their
socket (`sockets`), never by this.
"""

import os
from pathlib import Path
from typing import NamedTuple

from toono.identity.holders import PROC
from toono.identity.sockets import Owner
from toono.identity.tokens import MAX_TOKEN_BYTES

MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount/token"


class Process(NamedTuple):
    """One process, seen from the host."""

    name: str
    owner: Owner
    same_network: bool
    """It is in this program's network: what it calls loopback is ours."""
    token: bytes
    """What the kubelet mounted into it, b"" where nothing is."""


def look_at(pid: int, *, proc: Path = PROC) -> Process:
    """Return what is known of a process; OSError where it cannot be seen."""
    own = proc / str(pid)
    lines = dict(
        line.partition(":")[::2] for line in (own / "status").read_text().splitlines()
    )
    groups = {
        line.split(":", 2)[2]
        for line in (own / "cgroup").read_text().splitlines()
        if line.count(":") > 1
    }
    effective = int(lines["Uid"].split()[1])
    network, ours = own / "ns" / "net", proc / "self" / "ns" / "net"
    return Process(
        name=lines["Name"].strip(),
        owner=Owner(effective, frozenset(groups)),
        same_network=os.readlink(network) == os.readlink(ours),
        token=_read_inside(own / "root", MOUNTED).strip(),
    )


def _read_inside(root: Path, path: str) -> bytes:
    """Read a file as a process with another root sees it, b"" where there is none.

    A child goes in: a link that a pod has made leads nowhere else.
    """
    source, target = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chroot(root)
            os.chdir("/")
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            os.write(target, os.read(file, MAX_TOKEN_BYTES + 1))
        finally:
            os._exit(0)
    os.close(target)
    with os.fdopen(source, "rb") as told:
        content = told.read()
    os.waitpid(child, 0)
    return content
