# SPDX-License-Identifier: Apache-2.0
"""What the hub knows of a call: the object, its absence, or that it cannot say.

Any component's scope may answer (the caller was looked at before), each question from
one scope whole: no two scopes are at one version, so none are ever merged.

Unknown, absent and damaged are three different answers, and clients act on each
differently: a kubelet kills a pod that is absent, and keeps one that is unknown.
Rows come out as bytes; the pipeline joins them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from toono.cache.forms import JSON, Reader, reader_of, split_form
from toono.cache.received import question_of
from toono.cache.scope import Question, Row, RowKey, Scope
from toono.cache.scopes import FIRST, Scopes
from toono.cache.unknown import (
    DAMAGED,
    NO_KIND,
    NO_SCOPE,
    NOT_SELECTABLE,
    ONLY_IN_PART,
    OWN_ABSENT,
    never_kept,
)
from toono.codec.selectable import custom_fields, selectable
from toono.codec.transcode import to_json
from toono.errors import CodecError, DamagedRowError
from toono.kube import selectors
from toono.kube.kinds import built_in
from toono.kube.names import parse_version
from toono.kube.request import Call

OWN_RESOURCES = frozenset({"nodes", "csinodes", "leases"})
"""A kubelet that hears 404 for its own of these gives up, or makes them anew."""


class Found(NamedTuple):
    """Objects, and the scope whose version they are at."""

    scope: Scope
    items: Sequence[bytes]
    keys: Sequence[RowKey] = ()
    """Of a list: the names of `items`, in their order."""


class Absent(NamedTuple):
    """The name is not there: some scope that would hold it says so."""

    scope: Scope


class Unknown(NamedTuple):
    """No answer was kept while the link was up, or it is damaged: 503."""

    why: str


class Unacceptable(NamedTuple):
    """It is known, but in no form that the caller accepts: 406."""


class ServedKind(NamedTuple):
    """What discovery tells of a resource."""

    kind: str
    namespaced: bool | None
    """None where that was not told."""


def nothing_known(call: Call) -> ServedKind | None:
    """Tell nothing of any resource."""
    return None


Accepts = Callable[[Scope], bool]
"""May an answer to the call be made of this scope's rows, in their form?"""


Answer = Found | Absent | Unknown | Unacceptable
DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers from the scopes of all components of the node."""

    scopes: Scopes
    node_name: str
    served: Callable[[Call], ServedKind | None] = nothing_known
    """Asked where rows cannot tell a kind, or whether a resource has namespaces."""

    async def get(self, call: Call, accepts: Accepts) -> Answer:
        """Answer a GET by name: of the scopes that cover it, the newest decides."""
        key = (call.namespace, call.name)
        candidates = [
            scope
            for scope in await self._loaded(call, call.name)
            if key in scope.rows
            or (
                _was_known(scope)
                and _covers_name(scope, call)
                and _may_deny(scope, call)
            )
        ]
        if not candidates:
            return Unknown(never_kept(call))
        newest = candidates[0]
        if len(candidates) > 1:
            newest = max(candidates, key=lambda one: (*one.age_order, _single(one)))
        if key not in newest.rows:
            return self._absent(newest, call) if newest.complete else Unknown(DAMAGED)
        gone = None
        if len(candidates) > 1:
            gone = next((s for s in candidates if _knows_end(s, newest, key)), None)
        if gone is not None:
            return self._absent(gone, call)
        holding = [
            scope for scope in candidates if key in scope.rows and accepts(scope)
        ]
        if not holding:
            return _no_form(scope for scope in candidates if key in scope.rows)
        scope = holding[0]
        if len(holding) > 1:
            scope = max(holding, key=lambda one: one.age_order)
        row = scope.rows[key]
        if row.data is not None:
            self.scopes.touch(scope, key)
            return Found(scope, (row.data,))
        try:
            contents = await self.scopes.contents(scope, {key: row})
        except (DamagedRowError, CodecError):
            return Unknown(DAMAGED)
        return Found(scope, (contents[key],))

    def _absent(self, scope: Scope, call: Call) -> Answer:
        own = call.resource in OWN_RESOURCES and call.name == self.node_name
        return Unknown(OWN_ABSENT) if own else Absent(scope)

    async def list(self, call: Call, accepts: Accepts) -> Answer:
        """Answer a LIST, or the start of a WATCH, from one complete scope.

        The question's own scope answers; else one that contains the question, its
        rows filtered here. Scopes are never merged: no two are at one version.
        """
        pinned = selectors.pinned_name(call.field_selector)
        loaded = await self._loaded(call, pinned)
        containing = [scope for scope in loaded if _contains(scope, call)]
        whole = [scope for scope in containing if scope.complete or scope.imported]
        if not whole:
            return Unknown(DAMAGED if containing else never_kept(call))
        acceptable = [s for s in whole if accepts(s)]
        if not acceptable:
            return _no_form(whole)
        chosen = _of_own_pods(acceptable, call) or acceptable
        scope = max(chosen, key=lambda s: (not s.imported, *s.age_order))
        if any(
            _is_lost(one, call) and one.age_order > scope.age_order for one in loaded
        ):
            return Unknown(DAMAGED)  # who asked this has seen newer than `scope`
        rows = scope.rows
        if call.namespace and not scope.question.namespace:
            rows = {key: rows[key] for key in rows if key[0] == call.namespace}
        try:
            contents = await self._contents(scope, rows)
        except (DamagedRowError, CodecError):
            return Unknown(DAMAGED)
        try:
            await self._check_fields(scope, call)
            keys = self._selected(scope, call, contents)
        except CodecError as exc:
            return Unknown(f"{NOT_SELECTABLE}: {exc}")
        if scope.imported and not keys:
            return Unknown(DAMAGED)  # a list is empty only if the cloud said so
        doubt = "" if keys else self._doubt_of_empty(scope, call, loaded)
        if doubt:
            return Unknown(doubt)
        return Found(scope, [contents[key] for key in keys], keys)

    def _doubt_of_empty(self, scope: Scope, call: Call, others: Sequence[Scope]) -> str:
        """Say what forbids to call this question's list empty, "" if nothing does.

        An empty list needs its kind. And a list of one namespace is not known by one
        of all, unless the resource has namespaces: an API server knows no such path.
        """
        known = built_in(call.group, call.resource) or self.served(call)
        if not scope.kind:
            if known is None:
                return NO_KIND
            group = f"{call.group}/" if call.group else ""
            scope.kind, scope.api_version = known.kind, f"{group}{call.version}"
        if not call.namespace or scope.question.namespace:
            return ""
        seen = (
            one.question.namespace or any(ns for ns, _ in one.rows) for one in others
        )
        if any(seen):
            return ""
        return "" if known is not None and known.namespaced else NO_SCOPE

    async def definition(self, call: Call) -> bytes | None:
        """Return the CustomResourceDefinition of a call's resource, as stored JSON."""
        if "." not in call.group or call.group.endswith(".k8s.io"):
            return None
        name = f"{call.resource}.{call.group}"
        for scope in self.scopes.of_all(*DEFINITIONS, name):
            await self.scopes.load(scope)
            row = scope.rows.get(("", name))
            media_type, as_kind = split_form(scope.question.media_type)
            if row is None or as_kind:
                continue
            try:
                contents = await self.scopes.contents(scope, {("", name): row})
                return _as_json(scope, media_type, contents["", name])
            except (DamagedRowError, CodecError):
                continue
        return None

    async def _contents(
        self, scope: Scope, rows: Mapping[RowKey, Row]
    ) -> Mapping[RowKey, bytes]:
        in_memory = {k: row.data for k, row in rows.items() if row.data is not None}
        if len(in_memory) == len(rows):
            return in_memory
        return await self.scopes.contents(scope, dict(rows))

    def _selected(
        self, scope: Scope, call: Call, contents: Mapping[RowKey, bytes]
    ) -> Sequence[RowKey]:
        """Return the names, in the API server's order, that the selectors pick."""
        ordered = sorted(contents, key="/".join)
        reader = reader_of(scope.question.media_type)
        question = scope.question
        if call.label_selector and call.label_selector != question.label_selector:
            picks = selectors.label_matcher(call.label_selector)
            ordered = [key for key in ordered if picks(reader.labels(contents[key]))]
        if call.field_selector and call.field_selector != question.field_selector:
            chosen = selectors.field_matcher(call.field_selector)
            ordered = [
                key
                for key in ordered
                if chosen(partial(_field, reader, scope, contents[key]))
            ]
        return ordered

    async def _check_fields(self, scope: Scope, call: Call) -> None:
        """Raise CodecError where rows cannot be picked by the fields that are asked.

        Without rows too: an empty list would say that the API server knows the field.
        """
        if call.field_selector in ("", scope.question.field_selector):
            return
        paths = {one.key for one in selectors.parse_fields(call.field_selector)}
        known = built_in(call.group, call.resource)
        if known is not None:
            group = f"{call.group}/" if call.group else ""
            for path in paths:
                selectable(path, kind=known.kind, api_version=group + call.version)
            return
        paths -= {"metadata.name", "metadata.namespace"}
        if not paths:
            return
        definition = await self.definition(call)
        fields: frozenset[str] = frozenset()
        if definition is not None:
            fields = custom_fields(definition, call.version)
        for path in sorted(paths - fields):
            what = f"{call.resource}.{call.group}"
            raise CodecError(
                f"no definition of {what} that selects by {path!r} is known"
            )

    async def _loaded(self, call: Call, name: str) -> Sequence[Scope]:
        """Return the scopes that may speak of `name` or all, indexes in memory."""
        scopes = [
            scope
            for scope in self.scopes.of_all(call.group, call.resource, name)
            if scope.question.version == call.version
            # What was imported is a component's answer to a question nobody knows.
            and (not scope.imported or scope.question.component == call.component)
        ]
        for scope in scopes:
            if not scope.loaded:
                await self.scopes.load(scope)
        return scopes


def _no_form(known: Iterable[Scope]) -> Answer:
    """Return what to say of what is known, but not in a form that was asked for."""
    parts = [split_form(scope.question.media_type)[1] for scope in known]
    return Unknown(ONLY_IN_PART) if all(parts) else Unacceptable()


def _as_json(scope: Scope, media_type: str, data: bytes) -> bytes:
    if media_type == JSON:
        return data
    return to_json(data, kind=scope.kind, api_version=scope.api_version)


def _field(reader: Reader, scope: Scope, item: bytes, path: str) -> str:
    return reader.field(item, path, kind=scope.kind, api_version=scope.api_version)


def _single(scope: Scope) -> bool:
    return scope.question.name != ""


def _was_known(scope: Scope) -> bool:
    """Say whether the cloud ever answered: a watch that only began says nothing."""
    return scope.complete or scope.version > 0


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


def _knows_end(scope: Scope, newest: Scope, key: RowKey) -> bool:
    """Say whether `scope` knows that the object in `newest` is gone since.

    Its version is a lower bound of when the name was away: what was last changed
    before cannot have come after, though a list that lags may still show it.
    """
    return (
        _single(scope)
        and scope.complete
        and not scope.rows
        and scope.epoch == newest.epoch
        and (parse_version(newest.rows[key].resource_version) or 0) <= scope.version
    )


def _of_own_pods(scopes: Sequence[Scope], call: Call) -> Sequence[Scope]:
    """Return what the kubelet itself was told of its node's pods, if that is asked.

    It kills what its list lacks. A sudden loss is held back from the kubelet's own
    list alone (`autonomy.guard`): an empty one that another was told may be newer.
    """
    if call.component != FIRST or call.resource != "pods":
        return ()
    return [
        scope
        for scope in scopes
        if scope.question == question_of(call, scope.question.media_type)
        and not scope.imported
    ]


def _may_deny(scope: Scope, call: Call) -> bool:
    """Say whether a caller may hear that an object is gone because `scope` lacks it.

    A kubelet takes a 404 for a pod's end: only what it was told itself says so.
    """
    kubelets = call.component == FIRST and call.resource == "pods" and not call.group
    return not kubelets or scope.question.component == FIRST


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
        and (_has_fields(question, call) or call.field_selector == "")
        and selectors.labels_contain(question.label_selector, call.label_selector)
        and selectors.fields_contain(question.field_selector, call.field_selector)
    )


def _has_fields(question: Question, call: Call) -> bool:
    """Say whether the rows of `question` hold what the call's field selector asks."""
    whole = not split_form(question.media_type)[1]
    same = question.field_selector == call.field_selector
    return whole or same or selectors.is_identity_only(call.field_selector)
