# SPDX-License-Identifier: Apache-2.0
"""Leases of other nodes, renewed in the cloud by the leader.

A node's own certificate may not write them, so a pool may have one that can (YurtHub's
node-lease-proxy-client). Never backwards, never one that the cloud does not have, and
of a Lease nothing is changed but its renewTime: what it holds besides is the node's.
"""

import json
import logging
from collections.abc import Awaitable, Callable

from toono.errors import BadResponseError, UnreachableError, UpstreamError
from toono.kube.names import is_path_segment
from toono.pool.delegate import NAMESPACE, Heartbeat
from toono.runtime.clock import Clock
from toono.upstream.pool import Credential, Upstream
from toono.wire.client import Origin
from toono.wire.messages import Answer, BytesBody, Headers
from toono.wire.tls import ClientFiles, Contexts

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""As v1.5: whoever else writes the Lease may come between."""
MAX_LEASE_BYTES = 64 * 1024
_PATH = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/"

Send = Callable[[str, bytes, bytes], Awaitable[Answer]]
"""(method, target, content) → answer."""


def lease_sender(
    upstream: Upstream, files: ClientFiles | None, *, clock: Clock
) -> Send:
    """Return how the cloud's Leases are asked: with a certificate made for that, or
    the node's own where there is none."""
    origins: dict[str, Origin] = {}
    contexts = None if files is None else Contexts(files, clock=clock)

    async def send(method: str, target: bytes, content: bytes) -> Answer:
        headers: Headers = [
            (b"User-Agent", b"toono"),
            (b"Accept", b"application/json"),
        ]
        if content:
            headers.append((b"Content-Type", b"application/json"))
        body = BytesBody(content) if content else None
        if contexts is None:
            return await upstream.send(
                method, target, headers, body, credential=Credential.NODE
            )
        server = upstream.pick()
        if server is None:
            raise UnreachableError("no API server can be reached")
        name = server.origin.authority
        headers += [(b"Host", name.encode()), (b"Connection", b"close")]
        if name not in origins:
            origins[name] = Origin(
                server.origin.host, server.origin.port, tls=lambda _: contexts.current()
            )
        return await origins[name].send(
            method, target, headers, body, credential="leases", reuse=False
        )

    return send


class CloudLeases:
    """The Leases of kube-node-lease in the cloud."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def renew(self, beat: Heartbeat) -> bool:
        """Renew one; False where the cloud has none. UpstreamError where it refuses."""
        if not is_path_segment(beat.node):
            return False
        target = (_PATH + beat.node).encode()
        for _ in range(ATTEMPTS):
            status, lease = await self._ask("GET", target, b"")
            if status == 404:
                return False
            spec = lease.get("spec") if status == 200 else None
            if not isinstance(spec, dict):
                raise BadResponseError(f"HTTP {status} to a Lease of {NAMESPACE}")
            if str(spec.get("renewTime") or "") >= beat.renew_time:
                return True
            spec["renewTime"] = beat.renew_time
            status, _ = await self._ask("PUT", target, json.dumps(lease).encode())
            if status == 200:
                return True
            if status != 409:
                raise BadResponseError(f"HTTP {status} to a renewed Lease")
        raise UpstreamError("a Lease changes each time it is to be renewed")

    async def _ask(
        self, method: str, target: bytes, content: bytes
    ) -> tuple[int, dict[str, object]]:
        answer = await self._send(method, target, content)
        pieces, size = [], 0
        try:
            while piece := await answer.body.read():
                pieces.append(piece)
                size += len(piece)
                if size > MAX_LEASE_BYTES:
                    raise BadResponseError("a Lease that is none")
        finally:
            answer.body.close()
        try:
            found: object = json.loads(b"".join(pieces))
        except (ValueError, RecursionError):
            return answer.status, {}
        return answer.status, found if isinstance(found, dict) else {}
