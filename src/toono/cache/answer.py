# SPDX-License-Identifier: Apache-2.0
"""What the hub knows of a call: the object, its absence, or that it cannot say.

Unknown, absent and damaged are three different answers, and clients act on each
differently: a kubelet kills a pod that is absent, and keeps one that is unknown.
Rows come out as bytes; the pipeline joins them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from toono.cache.received import question_of
from toono.cache.scope import Row, RowKey, Scope
from toono.cache.scopes import Scopes
from toono.codec.base import Codec
from toono.codec.registry import for_media_type
from toono.errors import CodecError, DamagedRowError
from toono.kube import selectors
from toono.kube.request import Call

OWN_RESOURCES = frozenset({"nodes", "csinodes", "leases"})
"""A kubelet that hears 404 for its own of these gives up, or makes them anew."""


class Found(NamedTuple):
    """Objects, and the scope whose version they are at."""

    scope: Scope
    codec: Codec
    items: Sequence[bytes]


class Absent(NamedTuple):
    """The name is not there: some scope that would hold it says so."""

    scope: Scope


class Unknown(NamedTuple):
    """Nobody asked while the link was up, or what was kept is damaged: 503."""

    why: str


class Unacceptable(NamedTuple):
    """It is known, but in no form that the caller accepts: 406."""


Answer = Found | Absent | Unknown | Unacceptable
NEVER_ASKED = "nobody on this node asked this question while the link was up"
DAMAGED = "what was kept for this question is incomplete or damaged"


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers from the scopes of a call's own component."""

    scopes: Scopes
    node_name: str

    async def get(self, call: Call, accepts: Callable[[str], bool]) -> Answer:
        """Answer a GET by name: of the scopes that cover it, the newest decides."""
        key = (call.namespace, call.name)
        candidates = [
            scope
            for scope in await self._loaded(call, call.name)
            if _covers_name(scope, call) or key in scope.rows
        ]
        if not candidates:
            return Unknown(NEVER_ASKED)
        newest = max(candidates, key=lambda scope: (*scope.age_order, _single(scope)))
        if key not in newest.rows:
            if not newest.complete or self._is_own(call):
                return Unknown(DAMAGED)
            return Absent(newest)
        holding = [
            scope
            for scope in candidates
            if key in scope.rows and accepts(scope.question.media_type)
        ]
        if not holding:
            return Unacceptable()
        scope = max(holding, key=lambda scope: scope.age_order)
        row = scope.rows[key]
        if row.data is not None:
            self.scopes.touch(scope, key)
            return Found(scope, _codec(scope), (row.data,))
        try:
            contents = await self.scopes.contents(scope, {key: row})
        except (DamagedRowError, CodecError):
            return Unknown(DAMAGED)
        return Found(scope, _codec(scope), (contents[key],))

    def _is_own(self, call: Call) -> bool:
        return call.resource in OWN_RESOURCES and call.name == self.node_name

    async def list(self, call: Call, accepts: Callable[[str], bool]) -> Answer:
        """Answer a LIST, or the start of a WATCH, from one complete scope.

        The question's own scope answers; else one that contains the question, its
        rows filtered here. Scopes are never merged: no two are at one version.
        """
        pinned = selectors.pinned_name(call.field_selector)
        loaded = await self._loaded(call, pinned)
        containing = [scope for scope in loaded if _contains(scope, call)]
        whole = [scope for scope in containing if scope.complete or scope.imported]
        if not whole:
            return Unknown(DAMAGED if containing else NEVER_ASKED)
        acceptable = [s for s in whole if accepts(s.question.media_type)]
        if not acceptable:
            return Unacceptable()
        scope = max(acceptable, key=lambda s: (not s.imported, *s.age_order))
        if scope.imported and not scope.rows:
            return Unknown(DAMAGED)
        if any(_is_lost(one, call) and one.age_order > scope.age_order for one in loaded):
            return Unknown(DAMAGED)  # who asked this has seen newer than `scope`
        rows = scope.rows
        if call.namespace and not scope.question.namespace:
            rows = {key: rows[key] for key in rows if key[0] == call.namespace}
        try:
            contents = await self._contents(scope, rows)
            items = self._selected(scope, call, contents)
        except (DamagedRowError, CodecError):
            return Unknown(DAMAGED)
        return Found(scope, _codec(scope), items)

    async def _contents(
        self, scope: Scope, rows: Mapping[RowKey, Row]
    ) -> Mapping[RowKey, bytes]:
        in_memory = {k: row.data for k, row in rows.items() if row.data is not None}
        if len(in_memory) == len(rows):
            return in_memory
        return await self.scopes.contents(scope, dict(rows))

    def _selected(
        self, scope: Scope, call: Call, contents: Mapping[RowKey, bytes]
    ) -> Sequence[bytes]:
        """Return the bytes, in the API server's order, that the selectors pick."""
        ordered = [contents[key] for key in sorted(contents, key="/".join)]
        codec = _codec(scope)
        question = scope.question
        if call.label_selector and call.label_selector != question.label_selector:
            picks = selectors.label_matcher(call.label_selector)
            ordered = [item for item in ordered if picks(codec.labels(item))]
        if call.field_selector and call.field_selector != question.field_selector:
            chosen = selectors.field_matcher(call.field_selector)
            ordered = [
                item for item in ordered if chosen(partial(_field, codec, scope, item))
            ]
        return ordered

    async def _loaded(self, call: Call, name: str) -> Sequence[Scope]:
        """Return the scopes that may speak of `name` or all, indexes in memory."""
        scopes = [
            scope
            for scope in self.scopes.about(
                call.component, call.group, call.resource, name
            )
            if scope.question.version == call.version
        ]
        for scope in scopes:
            if not scope.loaded:
                await self.scopes.load(scope)
        return scopes


def _codec(scope: Scope) -> Codec:
    codec = for_media_type(scope.question.media_type)
    assert codec is not None
    return codec


def _field(codec: Codec, scope: Scope, item: bytes, path: str) -> str:
    return codec.field(item, path, kind=scope.kind, api_version=scope.api_version)


def _single(scope: Scope) -> bool:
    return scope.question.name != ""


def _covers_name(scope: Scope, call: Call) -> bool:
    """Say whether `scope` would hold this name whatever the object holds."""
    question = scope.question
    if scope.imported:
        return False
    if question.name:
        return (question.namespace, question.name) == (call.namespace, call.name)
    if question.namespace not in ("", call.namespace) or question.label_selector:
        return False
    return selectors.covers_name(
        question.field_selector, namespace=call.namespace, name=call.name
    )


def _is_lost(scope: Scope, call: Call) -> bool:
    """Say whether `scope` is the question's own, once held, and incomplete now."""
    own = question_of(call, scope.question.media_type)
    return scope.question == own and scope.version > 0 and not scope.complete


def _contains(scope: Scope, call: Call) -> bool:
    """Say whether every object of the question is in `scope`, if it is complete."""
    question = scope.question
    if scope.imported:
        return question.namespace in ("", call.namespace)
    if question.name:
        # An absence is known at no exact version, so it makes no empty list.
        pinned = selectors.pinned_name(call.field_selector)
        asked = (call.namespace, pinned)
        return (question.namespace, question.name) == asked and bool(scope.rows)
    return (
        question.namespace in ("", call.namespace)
        and selectors.labels_contain(question.label_selector, call.label_selector)
        and selectors.fields_contain(question.field_selector, call.field_selector)
    )
