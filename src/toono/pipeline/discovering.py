# SPDX-License-Identifier: Apache-2.0
"""The REST mapper inside a hub: told of what passes, asked while the link is down.

It asks the hub's own upstream with the node's rights. Nothing waits for it: its files
are read in a thread while the hub already serves, and until then it knows nothing.
Which answers it leads to is not decided here.
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from toono.cache.answer import ServedKind
from toono.kube.accept import Form
from toono.kube.request import Call
from toono.restmapper import (
    GroupVersionResource,
    MapperSettings,
    RESTMapper,
    Scope,
    Snapshot,
    Statistics,
    identity_of,
    is_not_served,
    yurthub,
)
from toono.restmapper.observations import API_SERVICES, CRDS
from toono.restmapper.transports.relay import RelayTransport
from toono.runtime.clock import Clock
from toono.upstream.pool import Credential, Upstream
from toono.wire.messages import Answer, Response

log = logging.getLogger(__name__)

FILE = Path("_internal") / "toono" / "discovery"
"""Below the cache directory."""
OPEN_SECONDS = 2.0
"""That a client waits for the files of a hub that has just started."""
MAX_SNIFFED_BYTES = 64 * 1024
_AGENT = ("User-Agent", "toono")
_TELLING = frozenset({CRDS, API_SERVICES})
_NOTHING = Statistics(0, 0, 0, 0, 0, 0, None, False)


class _Typed(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""


_typed = msgspec.json.Decoder(_Typed).decode


def settings_for(cache_path: Path, ca: Path | None) -> MapperSettings:
    """Return where a hub's mapper keeps what it knows, and of which cluster.

    Reads the CA; one that cannot be read is the upstream's to complain of.
    """
    try:
        identity = identity_of(ca.read_bytes()) if ca is not None else ""
    except OSError:
        identity = ""
    return MapperSettings(
        file=cache_path / FILE,
        identity=identity,
        yurthub_file=cache_path / yurthub.FILE,
    )


class Discovering:
    """A mapper from `run` to `aclose`, and what the hub's other parts need of it."""

    def __init__(
        self, upstream: Upstream, settings: MapperSettings, *, clock: Clock
    ) -> None:
        self._upstream = upstream
        self._settings = settings
        self._clock = clock
        self.mapper: RESTMapper | None = None
        """None until its files were read."""
        self._opened = asyncio.Event()
        self._reached = asyncio.Event()
        self._seen: Snapshot | None = None
        self._sure: set[tuple[str, str, str]] = set()
        """Resources whose kind was compared with what `_seen` says of it."""

    async def run(self) -> None:
        """Read the files, then follow the cluster; ends by cancellation only."""
        self.mapper = await asyncio.to_thread(
            RESTMapper,
            RelayTransport(self._send),
            settings=self._settings,
            clock=self._clock,
        )
        self._opened.set()
        await self._reached.wait()  # before, there is nobody to ask
        await self.mapper.run()

    async def aclose(self) -> None:
        """Write what is known; call it once `run` has ended."""
        if self.mapper is not None:
            await self.mapper.aclose()

    async def _send(self, target: str, headers: Mapping[str, str]) -> Answer:
        sent = [_AGENT, *headers.items()]
        fields = [(name.encode(), value.encode()) for name, value in sent]
        return await self._upstream.send(
            "GET", target.encode(), fields, None, credential=Credential.NODE
        )

    # -- what passes -----------------------------------------------------------------

    def hear(self, call: Call, response: Response) -> None:
        """Take note of an answer of the upstream: on the way of every request."""
        mapper, status = self.mapper, response.status
        if mapper is None:
            return
        if status == 200 and call.verb in ("get", "list"):
            key = (call.group, call.version, call.resource)
            if self._seen is not mapper.snapshot:
                self._seen = mapper.snapshot
                self._sure.clear()
            if key not in self._sure:
                self._look_at(mapper, call, response)
        elif status == 404:
            if _is_not_served(response):
                mapper.observe.not_served(_target(call))
        elif (
            200 <= status < 300
            and (call.group, call.resource) in _TELLING
            and call.verb not in ("get", "list", "watch")
        ):
            mapper.observe.write(_target(call))

    def _look_at(self, mapper: RESTMapper, call: Call, response: Response) -> None:
        """Compare the kind of a body with the one that is known for its URL."""
        content = response.content
        if not isinstance(content, bytes) or not content:
            return
        if len(content) > MAX_SNIFFED_BYTES or content[:1] != b"{":
            return
        if call.path == "/version":
            mapper.observe.version(content)
            return
        try:
            told = _typed(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self._sure.add((call.group, call.version, call.resource))
        mapper.observe.body(_target(call), told.api_version, told.kind)

    def mode_changed(self, online: bool) -> None:
        """The link was cut, or is back."""
        if not online:
            return
        self._reached.set()
        if self.mapper is not None:
            self.mapper.observe.reconnect()

    # -- what is known ---------------------------------------------------------------

    def kind_of(self, call: Call) -> ServedKind | None:
        """Return what is known of the resource that a call names; None: nothing."""
        if self.mapper is None:
            return None
        asked = GroupVersionResource(call.group, call.version, call.resource)
        known = self.mapper.snapshot.served(asked)
        if known is None:
            return None
        namespaced = None
        if known.scope is not Scope.UNKNOWN:
            namespaced = known.scope is Scope.NAMESPACED
        return ServedKind(known.kind.kind, namespaced)

    async def document(self, call: Call) -> Response | None:
        """Answer a request for discovery out of what is known; None: not known."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._opened.wait()
        except TimeoutError:
            return None
        assert self.mapper is not None
        accept = ", ".join(map(_clause, call.accept))
        tag = next(iter(call.if_none_match), "")
        made = self.mapper.serve(call.path, accept=accept, if_none_match=tag)
        if made is None:
            return None
        headers = [
            (name.title().encode(), value.encode())
            for name, value in made.headers.items()
            if name != "cache-control"  # who answers says it
        ]
        age = self.mapper.age()
        if age is not None:
            headers.append((b"Age", b"%d" % age))
        return Response(status=made.status, headers=headers, content=made.body)

    def statistics(self) -> Statistics:
        """Return what happened so far, for metrics."""
        return self.mapper.statistics() if self.mapper is not None else _NOTHING


def _target(call: Call) -> str:
    return call.target.decode("latin-1")


def _is_not_served(response: Response) -> bool:
    content = response.content
    if not isinstance(content, bytes) or len(content) > MAX_SNIFFED_BYTES:
        return False
    return is_not_served(404, _field(response, b"content-type"), content)


def _field(response: Response, name: bytes) -> str:
    for key, value in response.headers:
        if key.lower() == name:
            return value.decode("latin-1")
    return ""


def _clause(form: Form) -> str:
    if not form.as_kind:
        return form.media_type
    return f"{form.media_type};g={form.group};v={form.version};as={form.as_kind}"
