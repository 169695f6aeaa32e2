# SPDX-License-Identifier: Apache-2.0
"""The stage that answers go through on their way out, from the cloud or from the cache.

A call without filters costs one look into a dictionary. One with filters waits a
little for what they need to know, and is told 503 where that was never known: what is
unfiltered is not for its reader. When what filters know changes, the watches that were
filtered by the old end with 410; so does one that resumes from a list of that time.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from toono.cache.coding import unpacked
from toono.codec.base import Codec
from toono.codec.registry import for_media_type
from toono.errors import CodecError, RequestError
from toono.filters.addresses import CorrectedAddresses
from toono.filters.approval import DEFAULTS, Approval
from toono.filters.base import Filter
from toono.filters.fields import FORMS
from toono.filters.held import SMALL_BYTES, HeldBody, Room, Seat, take
from toono.filters.inputs import Inputs
from toono.filters.learning import PodAddresses
from toono.filters.sieve import Sieve, SiftedWatch
from toono.kube import status
from toono.kube.request import Call
from toono.wire.messages import Headers, Request, Response

log = logging.getLogger(__name__)

READY_SECONDS = 5.0
"""How long a question waits for what its filters need to know."""
STEP_SECONDS = 0.05
"""After each of these: is there hope? Cut off, with nothing kept, there is none."""
THREAD_BYTES = 64 * 1024
MAX_CLIENTS = 4096
NOT_KNOWN = "what the filters of this question need was never known on this node"
CHANGED = "what this list was filtered by has changed: list again"
ADDRESSES = "addresses"
CORRECTED = ("endpointslices", "endpoints")
NO_TABLE = "what is filtered for this client is not given as a Table alone"
_AS_TABLE = "as=Table"
_READABLE = ("*/*", "application/*", *FORMS)
_DROPPED_FIELDS = (b"content-encoding", b"content-length", b"etag")

Asked = tuple[str, str, str, str, str, str, str]
"""Who asks which question: component, address, group, resource, namespace, selectors."""


Filtered = tuple[tuple[str, int], ...]
"""The filters of a list, and how often each had changed."""


class Chosen(NamedTuple):
    """What one call's answer goes through."""

    sieve: Sieve
    names: tuple[str, ...]
    at: tuple[int, ...]
    """How often each filter had changed when the question came."""

    @property
    def filtered(self) -> Filtered:
        """Return by what a list is filtered; addresses count once there are any."""
        pairs = zip(self.names, self.at, strict=True)
        return tuple(pair for pair in pairs if pair != (ADDRESSES, 0))


class Stage:
    """Filters the answers of a hub."""

    def __init__(
        self,
        approval: Approval,
        inputs: Inputs,
        *,
        anew: bool,
        addresses: PodAddresses | None = None,
    ) -> None:
        self._inputs = inputs
        self._addresses = addresses
        self.approval = approval
        self._built: dict[tuple[str, str], Filter] = {}
        self._at: Counter[str] = Counter(list(DEFAULTS) if anew else ())
        """Changes of each filter; one at the start where answers given before this
        process began were filtered otherwise."""
        if addresses is not None and addresses.pods:
            self._at[ADDRESSES] = 1
        self._listed: OrderedDict[Asked, Filtered] = OrderedDict()
        self._open: dict[SiftedWatch, Chosen] = {}
        self.room = Room()
        self.ended = 0

    @property
    def watches(self) -> int:
        """How many watches are filtered now."""
        return len(self._open)

    # -- before the answer -----------------------------------------------------

    async def choose(self, call: Call) -> Chosen | None:
        """Return what the answer to `call` goes through; None for almost all calls.

        RequestError 503 where what a filter needs is not known.
        """
        names = self.approval.find(call)
        if not names:
            return None
        await self._until_ready(names)
        return self._chosen(names, call.resource)

    async def _until_ready(self, names: tuple[str, ...]) -> None:
        for _ in range(max(1, int(READY_SECONDS / STEP_SECONDS))):
            try:
                async with asyncio.timeout(STEP_SECONDS):
                    return await self._inputs.ready(names)
            except TimeoutError:
                if self._inputs.hopeless:
                    break
        raise status.refuse(status.unavailable(NOT_KNOWN))

    def choose_local(self, chosen: Chosen | None, call: Call) -> Chosen | None:
        """Return what the answer goes through where the hub itself gives it."""
        if (
            self._addresses is None
            or call.resource not in CORRECTED
            or call.verb not in ("get", "list", "watch")
            or call.subresource
        ):
            return chosen
        names = chosen.names if chosen is not None else ()
        return self._chosen((ADDRESSES, *names), call.resource)

    async def hear(self, call: Call, request: Request) -> None:
        """Learn from a write that the node itself makes."""
        if self._addresses is not None:
            await self._addresses.hear(call, request)

    def _chosen(self, names: tuple[str, ...], resource: str) -> Chosen:
        filters = tuple(self._filter(name, resource) for name in names)
        return Chosen(Sieve(filters), names, tuple(self._at[name] for name in names))

    def _filter(self, name: str, resource: str) -> Filter:
        built = self._built.get((name, resource))
        if built is None:
            built = self._build(name, resource)
            self._built[name, resource] = built
        return built

    def _build(self, name: str, resource: str) -> Filter:
        if name == ADDRESSES and self._addresses is not None:
            pods = dict(self._addresses.pods)
            return CorrectedAddresses(resource, self._inputs.node_name, pods)
        return self._inputs.build(name, resource)

    # -- the answer ------------------------------------------------------------

    async def apply(self, chosen: Chosen, call: Call, response: Response) -> Response:
        """Return the answer as its reader may see it."""
        if response.status != 200 or response.tunnel is not None:
            return response
        fields = {name.lower(): value for name, value in response.headers}
        codec = _codec_of(fields)
        if call.verb == "watch":
            return self._watch(chosen, call, response, codec)
        seat = self.room.seat()
        try:
            return await self._whole(chosen, call, response, codec, fields, seat)
        except BaseException:
            seat.leave()
            raise

    async def _whole(
        self,
        chosen: Chosen,
        call: Call,
        response: Response,
        codec: Codec,
        fields: Mapping[bytes, bytes],
        seat: Seat,
    ) -> Response:
        pieces, marked = await take(response, chosen.sieve, seat)
        if not pieces or pieces == [b""]:  # HEAD
            return response
        if call.verb == "list":
            self._note(chosen, call)
        if marked or fields.get(b"content-encoding", b"identity") != b"identity":
            pieces = [await self._sifted(chosen, call, response, codec, pieces, fields)]
        if sum(map(len, pieces)) > SMALL_BYTES:
            response.body, response.content = HeldBody(pieces, seat.leave), b""
        else:
            response.body, response.content = None, b"".join(pieces)
            seat.leave()
        return response

    async def _sifted(
        self,
        chosen: Chosen,
        call: Call,
        response: Response,
        codec: Codec,
        pieces: list[bytes],
        fields: Mapping[bytes, bytes],
    ) -> bytes:
        """Return what is left of an answer; the same bytes where nothing changes."""
        content = b"".join(pieces)
        sieve = chosen.sieve
        sift = sieve.listed if call.verb == "list" else sieve.single

        def make() -> tuple[bytes, bytes]:
            plain = unpacked(content, fields)
            return plain, sift(codec.media_type, plain)

        try:
            if len(content) > THREAD_BYTES:
                plain, after = await asyncio.to_thread(make)
            else:
                plain, after = make()
        except CodecError as exc:
            log.warning(
                "an answer that cannot be read is not given unfiltered",
                extra={"path": call.path, "err": str(exc)},
            )
            raise RequestError(502, "BadGateway", f"toono: {exc}") from exc
        if after is plain:
            return content
        response.headers = _without(response.headers)
        return after

    def _watch(
        self, chosen: Chosen, call: Call, response: Response, codec: Codec
    ) -> Response:
        assert response.body is not None
        response.direct = None  # every frame goes through the sieve
        if self._is_stale(chosen, call):
            response.body.close()
            response.body = Once(_gone(codec))
            return response
        watch = SiftedWatch(response.body, chosen.sieve, codec, closed=self._forget)
        if _current(chosen, self._at) != chosen.at:
            watch.end(_gone(codec))  # it changed while the cloud was asked
        self._open[watch] = chosen
        response.body = watch
        return response

    def _forget(self, watch: SiftedWatch) -> None:
        self._open.pop(watch, None)

    # -- what was listed by which filters --------------------------------------

    def _note(self, chosen: Chosen, call: Call) -> None:
        """Remember by what a client's list was filtered."""
        asked = _asked(call)
        self._listed[asked] = chosen.filtered
        self._listed.move_to_end(asked)
        if len(self._listed) > MAX_CLIENTS:
            self._listed.popitem(last=False)

    def _is_stale(self, chosen: Chosen, call: Call) -> bool:
        """Say whether a watch goes on from a list that was filtered otherwise."""
        if call.send_initial_events or (call.resource_version or "0") == "0":
            self._note(chosen, call)
            return False
        before = self._listed.get(_asked(call))
        return any(chosen.at) if before is None else before != chosen.filtered

    # -- changes ---------------------------------------------------------------

    def inputs_changed(self) -> None:
        """Build anew what is built of inputs; end the watches that it touches."""
        changed = set()
        for (name, resource), before in list(self._built.items()):
            after = self._build(name, resource)
            if after != before:
                self._built[name, resource] = after
                changed.add(name)
        self._end(changed)

    def approve(self, approval: Approval) -> None:
        """Filter by other rules from now on."""
        before, self.approval = self.approval, approval
        self._end(
            {
                name
                for name in DEFAULTS
                if before.added.get(name) != approval.added.get(name)
                or (name in before.off) != (name in approval.off)
            }
        )

    def _end(self, changed: set[str]) -> None:
        """End the watches that were filtered by what has changed."""
        if not changed:
            return
        self._at.update(changed)
        touched = [
            (watch, chosen)
            for watch, chosen in self._open.items()
            if changed.intersection(chosen.names)
        ]
        for watch, _ in touched:
            watch.end(_gone(watch.codec))
        self.ended += len(touched)
        log.info(
            "filters have changed",
            extra={"filters": sorted(changed), "watches": len(touched)},
        )


class Once:
    """A stream of one frame."""

    length: int | None = None

    def __init__(self, frame: bytes) -> None:
        self._frame = frame

    async def read(self) -> bytes:
        """Return the frame, then the end."""
        frame, self._frame = self._frame, b""
        return frame

    def close(self) -> None:
        """Read no more."""
        self._frame = b""


def readable(request: Request, *, watch: bool) -> None:
    """Ask the cloud for nothing that could not be filtered: no CBOR, no Table, and of a
    watch no content coding (since 1.37 watch-lists come as a chain of gzip members)."""
    request.headers = [*request.headers]  # others' too: a head is read once
    for at, (name, value) in enumerate(request.headers):
        field = name.lower()
        if field == b"accept" and (b"cbor" in value or _AS_TABLE.encode() in value):
            clauses = value.decode("latin-1").split(",")
            kept = [one for one in clauses if _can_be_filtered(one)]
            request.headers[at] = (name, ",".join(kept).strip().encode("latin-1"))
        elif field == b"accept-encoding" and watch:
            request.headers[at] = (name, b"identity")


def whole(call: Call) -> Call:
    """Return a call without Tables among what it takes; RequestError 406 without more.

    A row has cells and metadata. What a filter would change or drop is told by the rest
    of its object, so a row cannot be judged, and unjudged it is not for its reader.
    """
    kept = tuple(form for form in call.accept if form.as_kind != "Table")
    if len(kept) == len(call.accept):
        return call
    if not kept:
        raise RequestError(406, "NotAcceptable", NO_TABLE)
    return msgspec.structs.replace(call, accept=kept)


def _can_be_filtered(clause: str) -> bool:
    parameters = [one.strip() for one in clause.split(";")[1:]]
    return _media_type(clause) in _READABLE and _AS_TABLE not in parameters


def _media_type(clause: str) -> str:
    return clause.partition(";")[0].strip().lower()


def _codec_of(fields: Mapping[bytes, bytes]) -> Codec:
    media_type = _media_type(fields.get(b"content-type", b"").decode("latin-1"))
    codec = for_media_type(media_type)
    if codec is None:
        raise RequestError(406, "NotAcceptable", f"{media_type} cannot be filtered")
    return codec


def _gone(codec: Codec) -> bytes:
    return codec.write_error(codec.write_status(status.expired(CHANGED)))


def _current(chosen: Chosen, at: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(at[name] for name in chosen.names)


def _asked(call: Call) -> Asked:
    return (
        call.component,
        call.caller.remote[0],
        call.group,
        call.resource,
        call.namespace,
        call.label_selector,
        call.field_selector,
    )


def _without(headers: Headers) -> Headers:
    return [line for line in headers if line[0].lower() not in _DROPPED_FIELDS]
