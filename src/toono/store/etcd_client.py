# SPDX-License-Identifier: Apache-2.0
"""etcd's v3 API over its JSON gateway: keys, transactions, leases, watches.

Knows keys and revisions, and no Kubernetes. Failures are those of `etcd_errors`: a
write that may be done or not raises EtcdUnsureError and is never sent twice.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from toono.store.base import Key
from toono.store.etcd_cluster import NEEDS_LEADER, Cluster, EtcdSettings, Requests
from toono.store.etcd_errors import EtcdLeaseGoneError, refusal
from toono.store.etcd_messages import (
    Compare,
    Delete,
    DeleteAnswer,
    Frame,
    LeaseAnswer,
    Members,
    Message,
    Op,
    Put,
    PutAnswer,
    Range,
    RangeAnswer,
    Refusal,
    Status,
    Txn,
    TxnAnswer,
    decode,
    encode,
    end_of,
)
from toono.store.etcd_watch import Watch
from toono.wire.client import TLS
from toono.wire.messages import Headers

PAGE_KEYS = 1000
FIRST_KEY = b"\0"
"""No key is empty."""


class Etcd:
    """A cluster of etcd members.

    `cluster_id` is that of the pool, or 0 to take the first one seen (and let the
    caller keep it).
    """

    def __init__(
        self,
        endpoints: Sequence[tuple[str, int]],
        *,
        tls: TLS = lambda _: None,
        cluster_id: int = 0,
        settings: EtcdSettings | None = None,
    ) -> None:
        self._cluster = Cluster(
            endpoints,
            tls=tls,
            cluster_id=cluster_id,
            settings=settings or EtcdSettings(),
        )

    def close(self) -> None:
        """Close all connections."""
        self._cluster.close()

    @property
    def cluster_id(self) -> int:
        """The pool's; 0 before the first answer where none was given."""
        return self._cluster.cluster_id

    @property
    def revision(self) -> int:
        """The highest revision seen in any answer."""
        return self._cluster.revision

    @property
    def requests(self) -> Requests:
        """What was asked since the start."""
        return self._cluster.requests

    # -- keys ----------------------------------------------------------------------

    async def range(self, asked: Range, *, deadline: float = 0) -> RangeAnswer:
        """Return the rows asked for; see also `scan`."""
        headers = [] if asked.serializable else [NEEDS_LEADER]
        return await self._read(b"kv/range", asked, RangeAnswer, deadline, headers)

    async def scan(
        self, prefix: Key, *, keys_only: bool = False, serializable: bool = False
    ) -> RangeAnswer:
        """Return all rows below a prefix, at one revision, read in pages."""
        asked = Range(
            prefix or FIRST_KEY, end_of(prefix), PAGE_KEYS, keys_only=keys_only,
            serializable=serializable,
        )  # fmt: skip
        found = page = await self.range(asked)
        while page.more:
            asked.key = page.kvs[-1].key + b"\0"
            asked.revision = found.header.revision
            page = await self.range(asked)
            found.kvs += page.kvs
        found.more = False
        return found

    async def put(self, key: Key, value: bytes, *, lease: int = 0) -> int:
        """Set a key; return the revision of it."""
        answer = await self._write(b"kv/put", Put(key, value, lease), PutAnswer)
        return answer.header.revision

    async def delete(self, key: Key, range_end: Key = b"") -> int:
        """Remove a key or a range; return how many there were."""
        asked = Delete(key, range_end)
        return (await self._write(b"kv/deleterange", asked, DeleteAnswer)).deleted

    async def txn(
        self,
        compare: Sequence[Compare],
        success: Sequence[Op],
        failure: Sequence[Op] = (),
        *,
        deadline: float = 0,
    ) -> TxnAnswer:
        """Make `success` where every condition holds, else `failure`: all or nothing.

        EtcdTooManyOpsError and EtcdTooLargeError where etcd's limits forbid it.
        """
        asked = Txn(list(compare), list(success), list(failure))
        return await self._write(b"kv/txn", asked, TxnAnswer, deadline)

    async def local_txn(self, reads: Sequence[Op]) -> TxnAnswer:
        """Read at one revision of one member, which may be cut off and behind."""
        for op in reads:
            assert op.request_range is not None
            op.request_range.serializable = True
        return await self._read(b"kv/txn", Txn([], list(reads)), TxnAnswer, headers=[])

    # -- leases ----------------------------------------------------------------------

    async def grant(self, seconds: int) -> LeaseAnswer:
        """Return a new lease; etcd may make it longer."""
        asked = {"TTL": seconds}
        return await self._write(b"lease/grant", asked, LeaseAnswer)

    async def keep_alive(self, lease: int) -> int:
        """Renew a lease; return its seconds. EtcdLeaseGoneError where it has ended."""
        frame = await self._read(b"lease/keepalive", {"ID": lease}, Frame)
        if not bytes(frame.result):
            problem = frame.error or Refusal()
            raise refusal(problem.code, problem.message or problem.error)
        answer = decode(bytes(frame.result), LeaseAnswer)
        self._cluster.check(answer.header)
        if answer.ttl <= 0:
            raise EtcdLeaseGoneError(f"lease {lease:x} has ended")
        return answer.ttl

    async def revoke(self, lease: int) -> None:
        """End a lease and remove the keys it held; one that is gone is no error."""
        try:
            await self._read(b"lease/revoke", {"ID": lease}, PutAnswer)
        except EtcdLeaseGoneError:
            return

    # -- the cluster -----------------------------------------------------------------

    async def status(self) -> Status:
        """Return the view of the first member that answers."""
        return await self._read(b"maintenance/status", {}, Status)

    async def members(self) -> Members:
        """Return who belongs to the cluster."""
        return await self._read(b"cluster/member/list", {}, Members)

    @asynccontextmanager
    async def watch(
        self, key: Key, *, range_end: Key = b"", start_revision: int = 0
    ) -> AsyncIterator[Watch]:
        """Open a watch on the first member that takes it."""
        create = {
            "key": key,
            "range_end": range_end,
            "start_revision": start_revision,
            "progress_notify": True,
        }
        content = encode({"create_request": create})
        answer = await self._cluster.stream(b"watch", content)
        try:
            yield Watch(answer.body, self._cluster.check)
        finally:
            answer.body.close()

    # -- calls -----------------------------------------------------------------------

    async def _read(
        self,
        path: bytes,
        message: object,
        kind: type[Message],
        deadline: float = 0,
        headers: Headers | None = None,
    ) -> Message:
        """Ask what can be asked twice."""
        headers = [NEEDS_LEADER] if headers is None else headers
        content = encode(message)
        return await self._cluster.call(
            path, content, kind, deadline, headers, again=True
        )

    async def _write(
        self, path: bytes, message: object, kind: type[Message], deadline: float = 0
    ) -> Message:
        """Ask what must not be done twice."""
        content = encode(message)
        return await self._cluster.call(
            path, content, kind, deadline, [NEEDS_LEADER], again=False
        )
