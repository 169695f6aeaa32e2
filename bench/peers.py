# SPDX-License-Identifier: Apache-2.0
"""The programs that toono is measured against and exchanges its cache with.

YurtHub takes no certificate from outside: it wants its own directory as a finished
bootstrap left it. `lay_root` writes that, so it starts at once, cut off or not:

    yurthub.conf                     kubeconfig: the server, as --server-addr spells it
    bootstrap-hub.conf               the same, named by --bootstrap-file
    pki/ca.crt                       of the API server
    pki/yurthub-current.pem          certificate and key, O=openyurt:yurthub
    pki/yurthub-server-current.pem   certificate and key that its TLS port shows
"""

import base64
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toono.testing.certificates import Authority, Pair
from toono.testing.real import free_port

VARIABLE = "TOONO_YURTHUB"
ORGANIZATIONS = ("openyurt:yurthub", "system:nodes")
STOP_SECONDS = 10.0


def yurthub_program(environment: Mapping[str, str] = os.environ) -> Path | str:
    """Return the program, or why there is none."""
    told = environment.get(VARIABLE, "")
    if not told:
        return (
            f"{VARIABLE} names no program yurthub: scripts/build_yurthub.sh builds it"
        )
    if not os.access(told, os.X_OK):
        return f"{VARIABLE}={told} is no program"
    return Path(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class YurtHub:
    """A running YurtHub: its ports on loopback, its process, its log."""

    process: subprocess.Popen[bytes]
    port: int
    status_port: int
    tls_port: int
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        """End it; what it wrote stays."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_yurthub(
    program: Path,
    directory: Path,
    *,
    authority: Authority,
    server: tuple[str, int],
    cache: Path,
    node: str = "edge-1",
    more: tuple[str, ...] = (),
) -> YurtHub:
    """Start YurtHub before `server`, which need not be there; return at once.

    Its port answers some seconds later: poll /v1/healthz of `status_port`.
    """
    address = f"https://{server[0]}:{server[1]}"
    root = directory / "root"
    lay_root(root, authority=authority, address=address, node=node)
    port, status_port, tls_port = free_port(), free_port(), free_port()
    log = directory / "yurthub.log"
    command = [
        str(program),
        f"--node-name={node}",
        f"--server-addr={address}",
        f"--root-dir={root}",
        f"--bootstrap-file={root / 'bootstrap-hub.conf'}",
        f"--disk-cache-path={cache}",
        f"--proxy-port={port}",
        f"--serve-port={status_port}",
        f"--proxy-secure-port={tls_port}",
        "--working-mode=edge",
        "--enable-dummy-if=false",
        *more,
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    return YurtHub(
        process=process, port=port, status_port=status_port, tls_port=tls_port, log=log
    )


def lay_root(root: Path, *, authority: Authority, address: str, node: str) -> None:
    """Write the directory that a bootstrap would have left."""
    pki = root / "pki"
    pki.mkdir(parents=True, exist_ok=True)
    (pki / "ca.crt").write_bytes(authority.file.read_bytes())
    client = authority.user(f"system:node:{node}", *ORGANIZATIONS)
    current = _put_together(client, pki / "yurthub-current.pem")
    _put_together(
        authority.server("127.0.0.1", "localhost"), pki / "yurthub-server-current.pem"
    )
    content = json.dumps(_kubeconfig(authority, address, current)).encode()
    for name in ("yurthub.conf", "bootstrap-hub.conf"):
        (root / name).write_bytes(content)


def _put_together(pair: Pair, file: Path) -> Path:
    """Write certificate and key as one file, as client-go keeps them."""
    file.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    file.chmod(0o600)
    return file


def _kubeconfig(authority: Authority, address: str, current: Path) -> dict[str, object]:
    ca = base64.b64encode(authority.file.read_bytes()).decode()
    cluster = {"server": address, "certificate-authority-data": ca}
    user = {"client-certificate": str(current), "client-key": str(current)}
    context = {"cluster": "default-cluster", "user": "default-auth"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default-cluster", "cluster": cluster}],
        "users": [{"name": "default-auth", "user": user}],
        "contexts": [{"name": "default-context", "context": context}],
        "current-context": "default-context",
    }
