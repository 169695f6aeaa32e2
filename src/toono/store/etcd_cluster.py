# SPDX-License-Identifier: Apache-2.0
"""The members of etcd as one: which of them is asked, and whether it may be.

A read is asked again at the next member when one fails. A write is so only where it
cannot have left; where it may be done, EtcdUnsureError says so and the caller finds
out. A member is used only once it has shown that it belongs to the cluster that was
first seen, and is asked again after each failure: writing into another pool's etcd
cannot be taken back. Knows paths and answers; what they mean is `etcd_client`'s.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from toono.errors import BadResponseError, StoreError, UnreachableError, WireError
from toono.store.etcd_errors import (
    EtcdError,
    EtcdUnavailableError,
    EtcdUnsureError,
    WrongClusterError,
    refusal,
)
from toono.store.etcd_messages import Header, Message, Refusal, Status, decode
from toono.wire.client import TLS, Origin
from toono.wire.messages import Answer, BytesBody, Headers

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""A pool's largest collection in base64; what is longer is no answer to us."""
NEEDS_LEADER = (b"Grpc-Metadata-hasleader", b"true")
"""A member cut off from its leader refuses at once instead of holding us up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdSettings:
    """How long etcd may take, in seconds."""

    attempt: float = 3.0
    """Until a member has begun to answer a read; then the next one is asked."""
    deadline: float = 10.0
    """Of one call, over all members."""


@dataclass(slots=True)
class Requests:
    """What was asked of etcd since the start."""

    reads: int = 0
    writes: int = 0
    failures: int = 0


class Node:
    """One member as we know it: its connections, and whether it has shown who it is."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.known = False

    def distrust(self) -> None:
        """It failed: who answers there next may be another."""
        self.known = False
        self.origin.close_idle()


class Cluster:
    """Several members, one etcd."""

    def __init__(
        self,
        endpoints: Sequence[tuple[str, int]],
        *,
        tls: TLS,
        cluster_id: int,
        settings: EtcdSettings,
    ) -> None:
        self._nodes = [Node(Origin(host, port, tls=tls)) for host, port in endpoints]
        self._settings = settings
        self.cluster_id = cluster_id
        self.revision = 0
        self.requests = Requests()

    def close(self) -> None:
        """Close all connections."""
        for node in self._nodes:
            node.origin.close()

    async def stream(self, path: bytes, content: bytes) -> Answer:
        """Return a stream from the first member that opens one."""
        failure: StoreError | None = None
        for node in list(self._nodes):
            try:
                async with asyncio.timeout(self._settings.attempt):
                    await self._know(node)
                    return await self._head(node, path, content, [NEEDS_LEADER])
            except TimeoutError:
                failure = EtcdUnsureError(f"etcd: {node.origin.authority}: no answer")
            except (EtcdUnavailableError, WrongClusterError) as exc:
                failure = exc
            self._fail(node, failure)
        raise failure or EtcdUnavailableError("etcd: no member is configured")

    async def call(
        self,
        path: bytes,
        content: bytes,
        kind: type[Message],
        deadline: float,
        headers: Headers,
        *,
        again: bool,
    ) -> Message:
        """Ask until a member answers; more than once only where `again` allows."""
        if again:
            self.requests.reads += 1
        else:
            self.requests.writes += 1
        try:
            async with asyncio.timeout(deadline or self._settings.deadline):
                return await self._ask_in_turn(path, content, kind, headers, again)
        except TimeoutError as exc:
            self._fail(self._nodes[0], None)
            raise EtcdUnsureError("etcd: no answer within the deadline") from exc

    async def _ask_in_turn(
        self,
        path: bytes,
        content: bytes,
        kind: type[Message],
        headers: Headers,
        again: bool,
    ) -> Message:
        failure: StoreError | None = None
        for node in list(self._nodes):
            try:
                return await self._ask(node, path, content, kind, headers, again)
            except (EtcdUnavailableError, WrongClusterError) as exc:
                failure = _worse(failure, exc)
                self._fail(node, exc)
                if isinstance(exc, EtcdUnsureError) and not again:
                    raise
        raise failure or EtcdUnavailableError("etcd: no member is configured")

    async def _ask(
        self,
        node: Node,
        path: bytes,
        content: bytes,
        kind: type[Message],
        headers: Headers,
        again: bool,
    ) -> Message:
        """Ask one member; what it refuses is final unless it is unavailable."""
        patience = self._settings.attempt if again else None
        try:
            async with asyncio.timeout(self._settings.attempt):
                await self._know(node)
        except TimeoutError as exc:
            raise EtcdUnavailableError(
                f"etcd: {node.origin.authority}: silent"
            ) from exc
        try:
            async with asyncio.timeout(patience):
                answer = await self._head(node, path, content, headers)
        except TimeoutError as exc:
            raise EtcdUnsureError(f"etcd: {node.origin.authority}: silent") from exc
        text = await _whole(answer)
        try:
            found = decode(text, kind)
        except BadResponseError as exc:
            raise EtcdUnsureError(f"etcd: {exc}") from exc
        header = getattr(found, "header", None)
        if header is not None:
            self.check(header)
        return found

    async def _know(self, node: Node) -> None:
        """Have a member show which cluster it belongs to, before anything is written."""
        if node.known:
            return
        try:
            answer = await self._head(node, b"maintenance/status", b"{}", [])
            status = decode(await _whole(answer), Status)
        except (EtcdUnsureError, BadResponseError) as exc:
            raise EtcdUnavailableError(str(exc)) from exc
        self.check(status.header)
        node.known = True

    def check(self, header: Header) -> None:
        """Take note of an answer; WrongClusterError where it is not our cluster's."""
        if not header.cluster_id:
            return
        if not self.cluster_id:
            self.cluster_id = header.cluster_id
        if header.cluster_id != self.cluster_id:
            raise WrongClusterError(
                f"cluster {header.cluster_id:x} answers, the pool's is {self.cluster_id:x}"
            )
        self.revision = max(self.revision, header.revision)

    async def _head(
        self, node: Node, path: bytes, content: bytes, headers: Headers
    ) -> Answer:
        """Send one request; return its answer where that is 200."""
        fields: Headers = [
            (b"Host", node.origin.authority.encode()),
            (b"Content-Type", b"application/json"),
            *headers,
        ]
        body = BytesBody(content)
        try:
            answer = await node.origin.send(
                "POST", b"/v3/" + path, fields, body, credential="etcd"
            )
        except UnreachableError as exc:
            raise EtcdUnavailableError(f"etcd: {exc}") from exc
        except WireError as exc:
            raise EtcdUnsureError(f"etcd: {node.origin.authority}: {exc}") from exc
        if answer.status == 200:
            return answer
        raise _refused(answer.status, await _whole(answer))

    def _fail(self, node: Node, failure: StoreError | None) -> None:
        """Ask another member first from now on."""
        self.requests.failures += 1
        node.distrust()
        if node is self._nodes[0]:
            self._nodes.append(self._nodes.pop(0))
        log.info(
            "etcd member failed",
            extra={"member": node.origin.authority, "err": str(failure)},
        )


def _worse(one: StoreError | None, other: StoreError) -> StoreError:
    """Return the failure to tell: another cluster is more than silence."""
    return one if isinstance(one, WrongClusterError) else other


async def _whole(answer: Answer) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := await answer.body.read():
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                answer.body.close()
                raise EtcdError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
            pieces.append(piece)
    except WireError as exc:
        raise EtcdUnsureError(f"etcd: {exc}") from exc
    return b"".join(pieces)


def _refused(status: int, text: bytes) -> StoreError:
    try:
        found = msgspec.json.decode(text, type=Refusal)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return EtcdUnsureError(f"etcd: HTTP status {status}, no word why")
    return refusal(found.code, found.message or found.error)
