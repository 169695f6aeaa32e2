# SPDX-License-Identifier: Apache-2.0
"""Which questions are answered from what all readers share, and how.

The rules are those of an API server's watch cache. What it would have to ask its store
for (a list without a version, an exact one, a page's continuation, a version older than
history) is not answered here but passed on, with the reader's own credential: None. A
resource that the node may not list is never shared.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from toono.codec import transcode
from toono.errors import CodecError
from toono.kube.accept import Form, choose_form, names_one_of
from toono.kube.names import parse_version
from toono.kube.request import Call
from toono.multiplex.feed import Feed
from toono.wire.messages import Headers, Response

JSON, PROTOBUF = "application/json", "application/vnd.kubernetes.protobuf"
READY_SECONDS = 2.0
"""How long a reader waits for the shared state; then it asks for itself."""
LEVEL_SECONDS = 3.0
"""How long one waits for a version that is not here yet, as an API server does."""
PATIENCE = 10.0
"""Seconds that a reader may take nothing of what waits for it."""


class Resource(NamedTuple):
    """What is shared: one resource of one version."""

    group: str
    version: str
    resource: str

    @classmethod
    def of(cls, text: str) -> "Resource | None":
        """Read GROUP/VERSION/RESOURCE, the group empty for the core's; None for none."""
        parts = text.strip().split("/")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            return None
        return cls(*parts)

    @property
    def path(self) -> str:
        """Where the API serves it."""
        if not self.group:
            return f"/api/{self.version}/{self.resource}"
        return f"/apis/{self.group}/{self.version}/{self.resource}"


DEFAULTS = (
    Resource("", "v1", "services"),
    Resource("discovery.k8s.io", "v1", "endpointslices"),
    Resource("", "v1", "nodes"),
)


class Shared:
    """Answers readers from the feeds."""

    def __init__(self, feeds: Mapping[Resource, Feed], headers: Headers) -> None:
        self.feeds = feeds
        self._headers = headers

    def end(self) -> None:
        """End all streams cleanly: the hub stops, and its clients will resume."""
        for feed in self.feeds.values():
            feed.end()

    def takes(self, call: Call) -> bool:
        """Say whether a call may be answered from what is shared."""
        return (
            call.verb in ("list", "watch")
            and (call.group, call.version, call.resource) in self.feeds
            and not call.subresource
            and not call.name
            and not call.pinned_name
            and not call.unknown_options
            and call.problem is None
            and not call.continue_token
            and not call.no_initial_events
            and call.method == "GET"
            and call.component != OWN
            and not _is_of_a_node(call)
            and (not call.accept or not call.accept[0].as_kind)
            and _is_of_cache(call)
        )

    async def answer(self, call: Call) -> Response | None:
        """Return the answer; None where the reader has to ask for itself."""
        feed = self.feeds[Resource(call.group, call.version, call.resource)]
        feed.begin()
        if not await _within(READY_SECONDS, feed.ready) or feed.refused:
            return None
        if not feed.is_current:
            return None  # what is shared is of before the cloud was restored
        media_type = _media_type(call, feed)
        if media_type is None or not await self._is_level(call, feed):
            return None
        try:
            return self._made(call, feed, media_type)
        except CodecError:
            return None  # what cannot be turned is the API server's to show

    def _made(self, call: Call, feed: Feed, media_type: str) -> Response | None:
        start = parse_version(call.resource_version or "0") or 0
        if call.verb == "list":
            view = feed.view(call, media_type)
            return self._response(view.codec.media_type, content=view.listed())
        listed = call.send_initial_events or start == 0
        if not listed and start < feed.state.oldest:
            return None
        stream = feed.watch(call, media_type, after=start, listed=listed)
        watched = feed.view(call, media_type).codec.watch_media_type
        response = self._response(watched, content=b"")
        response.body, response.patience = stream, PATIENCE
        response.direct = stream.attach
        return response

    async def _is_level(self, call: Call, feed: Feed) -> bool:
        """Wait until the state is as new as it is asked to be."""
        asked = parse_version(call.resource_version or "0")
        if asked is None:
            return False
        if call.verb == "watch" and not call.send_initial_events:
            return asked <= feed.state.version
        if asked <= feed.state.version:
            return True
        level = asyncio.Event()

        def look() -> None:
            if feed.state.version >= asked:
                level.set()

        feed.state.moved.append(look)
        try:
            return await _within(LEVEL_SECONDS, level)
        finally:
            feed.state.moved.remove(look)

    def _response(self, media_type: str, *, content: bytes | list[bytes]) -> Response:
        headers = [(b"Content-Type", media_type.encode()), *self._headers]
        return Response(status=200, headers=headers, content=content)


OWN = "toono"
"""The component that feeds: it cannot drink of itself."""


def _is_of_a_node(call: Call) -> bool:
    """Say whether these are a node's pods, for its kubelet, which kills what they lack.

    Only what passes is looked at by who holds sudden losses back (`autonomy.guard`). Who
    shows a token is an agent: there are many, and they kill nothing.
    """
    if call.caller.token:
        return False
    return call.resource == "pods" and "spec.nodeName" in call.field_selector


def _is_of_cache(call: Call) -> bool:
    """Say whether an API server would answer from its watch cache.

    A list without a version is as new as the store itself. A watch that begins with
    all there is may do without one: an informer needs no more than that it never goes
    back, and the stream is the node's own.
    """
    version = call.resource_version or ""
    match = call.resource_version_match
    if call.verb == "list":
        return version != "" and match in ("", "NotOlderThan") and _is_whole(call)
    if call.send_initial_events:
        return True
    return version != ""


def _is_whole(call: Call) -> bool:
    """Say whether a limit changes nothing: at version 0 a watch cache ignores it."""
    return call.limit == 0 or call.resource_version == "0"


def _media_type(call: Call, feed: Feed) -> str | None:
    """Return the form that the reader likes best of those that can be made."""
    kind = feed.state.kind
    if kind is None or not names_one_of(call.accept, (JSON, PROTOBUF)):
        return None
    offers: Sequence[Form] = [Form(media_type=kind.media_type)]
    if transcode.can_transcode(kind=kind.kind, api_version=kind.api_version):
        other = PROTOBUF if kind.media_type == JSON else JSON
        # What a client without a wish gets of an API server is JSON.
        offers = sorted([*offers, Form(media_type=other)], key=lambda f: f.media_type)
    form = choose_form(call.accept, offers)
    return form.media_type if form is not None else None


async def _within(seconds: float, event: asyncio.Event) -> bool:
    if event.is_set():
        return True
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
