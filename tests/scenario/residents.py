# SPDX-License-Identifier: Apache-2.0
"""Real callers on this machine: another user, a pod's control group, a pod's network.

Each is a process that connects when it is told to. What the machine does not allow is
None, and whoever needed it says so loudly.
"""

import asyncio
import base64
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

CHILD = """
import base64, encodings.idna, os, socket, sys
uid = int(sys.argv[1])
sys.stdin.readline()
if uid != os.getuid():
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
print("ready", flush=True)
for line in sys.stdin:
    host, port, raw = line.split()
    with socket.create_connection((host, int(port)), timeout=20) as link:
        link.sendall(base64.b64decode(raw))
        heard = b""
        while piece := link.recv(65536):
            heard += piece
    print(base64.b64encode(heard).decode(), flush=True)
"""
TIMEOUT = 20


class Resident:
    """One process somewhere on this machine."""

    def __init__(self, *prefix: str, uid: int = 0, group: Path | None = None) -> None:
        self._child = subprocess.Popen(
            [*prefix, sys.executable, "-c", CHILD, str(uid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if group is not None:
            try:
                (group / "cgroup.procs").write_text(str(self._child.pid))
            except OSError:
                self.close()
                raise
        assert self._say("begin") == "ready"

    def _say(self, line: str) -> str:
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(line + "\n")
        stdin.flush()
        return stdout.readline().strip()

    async def ask(self, address: tuple[str, int], raw: bytes) -> bytes:
        """Send bytes to an address from there; return all that came back."""
        line = f"{address[0]} {address[1]} {base64.b64encode(raw).decode()}"
        return base64.b64decode(await asyncio.to_thread(self._say, line))

    def close(self) -> None:
        self._child.communicate(timeout=TIMEOUT)  # the end of its input is its own


class Machine:
    """The callers that this machine can really have; close it, and they are gone."""

    def __init__(self) -> None:
        self.root: bool = os.getuid() == 0
        self.user: Resident | None = None
        self.pod_root: Resident | None = None
        self.bridge_pod: Resident | None = None
        self.bridge_address = ""
        """The host's end of the pod's network, for a listener."""
        self._group: Path | None = None
        self._namespace = ""
        if self.root:
            self.user = Resident(uid=1000)
            self._settle_pod_root()
            self._settle_bridge_pod()

    @property
    def missing(self) -> list[str]:
        """Name what the machine does not allow."""
        found = {
            "root on the host": self.root,
            "another user": self.user,
            "a pod's control group": self.pod_root,
            "a pod's network": self.bridge_pod,
        }
        return [name for name, there in found.items() if not there]

    def _settle_pod_root(self) -> None:
        top = Path("/sys/fs/cgroup")
        for hierarchy in (top, top / "unified", top / "pids"):
            group = hierarchy / f"kubepods-toono-{os.getpid()}"
            if not (hierarchy / "cgroup.procs").exists():
                continue
            with suppress(OSError):
                group.mkdir()
                try:
                    self.pod_root = Resident(group=group)
                except OSError:
                    group.rmdir()
                    raise
                self._group = group
                return

    def _settle_bridge_pod(self) -> None:
        number = os.getpid()
        name, ours, theirs = (f"{one}{number}" for one in ("toono", "tno", "tnp"))
        network = f"10.231.{number % 250}"
        try:
            _ip("netns", "add", name)
            self._namespace = name
            _ip("link", "add", ours, "type", "veth", "peer", "name", theirs)
            _ip("link", "set", theirs, "netns", name)
            _ip("address", "add", f"{network}.1/30", "dev", ours)
            _ip("link", "set", ours, "up")
            inside = ("netns", "exec", name, "ip")
            _ip(*inside, "address", "add", f"{network}.2/30", "dev", theirs)
            _ip(*inside, "link", "set", theirs, "up")
        except (OSError, subprocess.CalledProcessError):
            return
        self.bridge_pod = Resident("ip", "netns", "exec", name)
        self.bridge_address = f"{network}.1"

    def close(self) -> None:
        for resident in (self.user, self.pod_root, self.bridge_pod):
            if resident is not None:
                resident.close()
        if self._group is not None:
            self._group.rmdir()
        if self._namespace:
            _ip("netns", "del", self._namespace)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=TIMEOUT)
