# SPDX-License-Identifier: Apache-2.0
"""Looks at this node's Lease and renews it, where `LeaseDuty` says so.

All decisions are `lease`'s; here are the requests. Every renewal is made over the
version that was just read, so it never overwrites another's. The kubelet's own
renewals that the hub answers prompt the hub's, and get what it wrote for an answer.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import msgspec

from toono.autonomy.cloud import JSON, Cloud, Told, is_missing
from toono.autonomy.lease import Action, Decision, Interception, LeaseDuty, Seen
from toono.codec.registry import for_media_type
from toono.codec.transcode import to_json, to_protobuf
from toono.errors import CodecError, UpstreamError
from toono.kube import accept
from toono.kube.request import Call
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

GROUP, NAMESPACE = "coordination.k8s.io", "kube-node-lease"
LEASES = f"/apis/{GROUP}/v1/namespaces/{NAMESPACE}/leases"
DELEGATED = "openyurt.io/delegate-heartbeat"
"""A pool's leader marks so what it renews for another node."""
PROMPTED_SECONDS = 2.0
"""The kubelet waits no longer for the hub's renewal; it hears what was there before."""
PROTOBUF = "application/vnd.kubernetes.protobuf"
Answered = tuple[int, str, bytes]
"""Status, media type and content."""


class _Spec(msgspec.Struct, rename="camel"):
    renew_time: str | None = None
    lease_duration_seconds: int | None = None


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    resource_version: str
    annotations: dict[str, str] | None = None


class _Lease(msgspec.Struct):
    metadata: _Meta
    spec: _Spec


_lease = msgspec.json.Decoder(_Lease).decode
_tree = msgspec.json.Decoder(dict[str, object]).decode
_encode = msgspec.json.Encoder().encode


def read_lease(content: bytes, *, name: str, media_type: str = JSON) -> Seen | None:
    """Return what a Lease says; None where this is not the Lease of that name."""
    try:
        if media_type == PROTOBUF:
            codec = for_media_type(PROTOBUF)
            assert codec is not None
            single = codec.read_single(content)
            content = to_json(
                single.object.data, kind=single.kind, api_version=single.api_version
            )
        lease = _lease(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, CodecError):
        return None
    if lease.metadata.name != name or not lease.metadata.resource_version:
        return None
    return Seen(
        resource_version=lease.metadata.resource_version,
        renew_time=lease.spec.renew_time or "",
        duration=float(lease.spec.lease_duration_seconds or 0),
        delegated=DELEGATED in (lease.metadata.annotations or {}),
    )


def renewed_lease(content: bytes, *, holder: str, at: str) -> bytes:
    """Return a Lease renewed `at`, and nobody's delegate any more."""
    tree = _tree(content)
    spec, meta = tree.get("spec"), tree.get("metadata")
    if not isinstance(spec, dict) or not isinstance(meta, dict):
        raise CodecError("no Lease")
    spec["renewTime"], spec["holderIdentity"] = at, holder
    notes = meta.get("annotations")
    if isinstance(notes, dict):
        notes.pop(DELEGATED, None)
    return _encode(tree)


class LeaseKeeper:
    """Does what `duty` decides, until cancelled; answers the kubelet where it says so."""

    def __init__(
        self,
        cloud: Cloud,
        mode: Interception,
        *,
        node_name: str,
        grace: float,
        clock: Clock,
    ) -> None:
        self._cloud = cloud
        self._node = node_name
        self._clock = clock
        self._content = b""
        self._lock = asyncio.Lock()
        self.renewals = 0
        self.conflicts = 0
        self.failures = 0
        self.duty = LeaseDuty(
            mode, now=clock.monotonic(), grace=grace, decided=self._decided
        )

    def _decided(self, decision: Decision) -> None:
        log.info(
            "node lease",
            extra={"state": decision.state.value, "evidence": decision.evidence},
        )

    # -- the kubelet's calls -------------------------------------------------

    def concerns(self, call: Call) -> bool:
        """Say whether a call is about this node's Lease, and for whoever keeps it."""
        return (
            call.resource == "leases"
            and call.group == GROUP
            and call.namespace == NAMESPACE
            and call.subresource == ""
            and (call.name == self._node or call.verb == "create")
            and call.verb in ("get", "create", "update", "patch")
        )

    async def answer(self, call: Call, content: bytes) -> Answered | None:
        """Answer a call of the kubelet's, or None: it passes.

        A renewal that passes must be followed by `passed`. `content` is its body: the
        kubelet hears it again where the hub has not read the Lease yet.
        """
        if call.verb == "get":
            return self._told(call, 200) if self.duty.renews else None
        if not self.duty.kubelet_writes(self._clock.monotonic()):
            return None
        if self.duty.wants_renewal(self._clock.monotonic()) and self._cloud.online:
            try:
                async with asyncio.timeout(PROMPTED_SECONDS):
                    await self._renew(prompted=True)
            except TimeoutError:
                log.debug("the kubelet's renewal is answered before the hub's is made")
        status = 201 if call.verb == "create" else 200
        return self._told(call, status) or (status, call.content_type, content)

    def passed(self, status: int, media_type: str, content: bytes) -> None:
        """Take the answer to a renewal that passed; status 0 where there was none."""
        seen = None
        if status in (200, 201):
            seen = read_lease(content, name=self._node, media_type=media_type)
        self.duty.passed(self._clock.monotonic(), seen, conflict=status == 409)

    def _told(self, call: Call, status: int) -> Answered | None:
        """Return the Lease as it is known, in the form that is asked for."""
        if not self._content:
            return None
        form = accept.choose(call.accept, (JSON, PROTOBUF)) or JSON
        if form == JSON:
            return status, JSON, self._content
        try:
            return status, PROTOBUF, _in_protobuf(self._content)
        except CodecError as exc:
            log.warning(
                "the node's Lease has no protobuf form", extra={"err": str(exc)}
            )
            return None

    # -- the duty ------------------------------------------------------------

    async def run(self) -> None:
        """Look and renew when it is time; ends by cancellation only."""
        while True:
            action, seconds = self.duty.next(self._clock.monotonic())
            if action is Action.LOOK:
                await self._look()
            elif action is Action.RENEW:
                await self._renew()
            else:
                await self._rest(seconds)

    async def _rest(self, seconds: float) -> None:
        """Sleep, in steps: what a call of the kubelet's changes is seen by the next."""
        await self._clock.sleep(min(seconds, self.duty.interval / 4))

    async def _look(self) -> None:
        asked_at = self._clock.monotonic()
        try:
            self._take(await self._ask("GET"), asked_at=asked_at)
        except UpstreamError as exc:
            self._failed(exc)

    def _take(self, told: Told, *, asked_at: float) -> None:
        """Take an answer to a look; UpstreamError where it is none."""
        seen = self._read(told)
        if seen is None and not is_missing(told, self._node):
            raise UpstreamError(f"HTTP {told.status}")
        self._content = told.content if seen else b""
        self.duty.saw(self._clock.monotonic(), seen, asked_at=asked_at)

    async def _renew(self, *, prompted: bool = False) -> None:
        """Read the Lease, and write it where nobody else has."""
        async with self._lock:
            now = self._clock.monotonic()
            if prompted and not self.duty.wants_renewal(now):
                return  # while this one waited, another was made
            try:
                self._take(await self._ask("GET"), asked_at=now)
                if self.duty.renews:
                    await self._write(prompted=prompted)
            except (UpstreamError, CodecError) as exc:
                self._failed(exc)

    async def _write(self, *, prompted: bool) -> None:
        at = self._moment()
        self.duty.renewing(at)
        if self._content:
            body = renewed_lease(self._content, holder=self._node, at=at)
            told = await self._ask("PUT", body)
        else:
            told = await self._cloud.ask("POST", LEASES, await self._new(at))
        now = self._clock.monotonic()
        if told.status == 409:
            self.conflicts += 1
            self.duty.met_conflict(now)
            return
        seen = self._read(told)
        if seen is None:
            raise UpstreamError(f"HTTP {told.status}")
        self._content = told.content
        self.renewals += 1
        self.duty.renewed(now, seen, prompted=prompted)

    def _read(self, told: Told) -> Seen | None:
        if told.status not in (200, 201):
            return None
        return read_lease(told.content, name=self._node)

    async def _ask(self, method: str, content: bytes = b"") -> Told:
        return await self._cloud.ask(method, f"{LEASES}/{self._node}", content)

    def _failed(self, exc: Exception) -> None:
        self.failures += 1
        log.debug("node lease not read or renewed", extra={"err": str(exc)})
        self.duty.failed(self._clock.monotonic())

    def _moment(self) -> str:
        """Return the time of a renewal: later than the last, whatever the clock does.

        A clock that was years ahead and is set right would else renew nothing, in
        the eyes of whoever compares, until those years are over.
        """
        now = datetime.fromtimestamp(self._clock.wall(), UTC)
        seen = read_lease(self._content, name=self._node) if self._content else None
        if seen is not None and seen.renew_time:
            now = max(now, _after(seen.renew_time) or now)
        return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    async def _new(self, at: str) -> bytes:
        """Return a Lease of this node, owned by its Node where that can be read."""
        meta: dict[str, object] = {"name": self._node, "namespace": NAMESPACE}
        told = await self._cloud.ask("GET", f"/api/v1/nodes/{self._node}")
        uid = _uid_of(told.content) if told.status == 200 else ""
        if uid:
            owner = {"apiVersion": "v1", "kind": "Node", "name": self._node, "uid": uid}
            meta["ownerReferences"] = [owner]
        return _encode(
            {
                "apiVersion": f"{GROUP}/v1",
                "kind": "Lease",
                "metadata": meta,
                "spec": {
                    "holderIdentity": self._node,
                    "leaseDurationSeconds": 40,
                    "renewTime": at,
                },
            }
        )


def _in_protobuf(content: bytes) -> bytes:
    codec, plain = for_media_type(PROTOBUF), for_media_type(JSON)
    assert codec is not None
    assert plain is not None
    one = plain.read_single(content)
    kind, version = one.kind, one.api_version
    data = to_protobuf(one.object.data, kind=kind, api_version=version)
    return codec.write_single(kind=kind, api_version=version, style="typed", data=data)


class _OwnMeta(msgspec.Struct):
    uid: str = ""


class _Node(msgspec.Struct):
    metadata: _OwnMeta


_node = msgspec.json.Decoder(_Node).decode


def _after(moment: str) -> datetime | None:
    """Return the next moment, None where that is no time or the last of all."""
    try:
        return datetime.fromisoformat(moment).astimezone(UTC) + timedelta(
            microseconds=1
        )
    except (ValueError, OverflowError):
        return None


def _uid_of(content: bytes) -> str:
    try:
        return _node(content).metadata.uid
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
