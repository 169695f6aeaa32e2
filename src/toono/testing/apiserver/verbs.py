# SPDX-License-Identifier: Apache-2.0
"""The verbs of one resource: get, list, watch, create, update, patch, delete.

Each takes a request that `server` has found the resource for, and returns its answer;
what it refuses it raises as a `Refusal`.
"""

from dataclasses import dataclass

from toono.runtime.clock import Clock
from toono.testing.apiserver import answers
from toono.testing.apiserver.bodies import body_of, object_of, options_of
from toono.testing.apiserver.encodings import Encoding
from toono.testing.apiserver.forms import form_of, wants_protobuf
from toono.testing.apiserver.lists import page_of
from toono.testing.apiserver.options import check_options
from toono.testing.apiserver.patches import APPLY, applied, check_kind, patched
from toono.testing.apiserver.query import (
    JSON,
    Place,
    Query,
    Refusal,
    Selects,
    selection,
)
from toono.testing.apiserver.refusals import (
    Cause,
    bad_request,
    invalid_options,
    not_allowed,
    too_large,
    unknown_resource,
)
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.storage import Storage, Stored
from toono.testing.apiserver.watch import Terms, Watch
from toono.testing.apiserver.writes import Writes, check_update, delete_options
from toono.wire.messages import Request, Response

WATCH_SECONDS = 1800
NO_MANAGER = Cause(
    "FieldValueRequired", "Required value: is required for apply patch", "fieldManager"
)
CREATED_BY_UPDATE = frozenset({"leases", "endpoints", "events"})
"""Resources whose PUT makes what is not there yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request and what it is about."""

    request: Request
    resource: Resource
    place: Place
    query: Query
    now: float
    """Seconds since 1970, by the server's clock."""

    @property
    def dry_run(self) -> bool:
        return bool(self.query.text("dryRun"))

    @property
    def part(self) -> str:
        """Which part of an object this path writes."""
        return self.place.subresource or "spec"

    @property
    def selects(self) -> Selects:
        """The predicate of the path's namespace and the query's selectors."""
        return selection(self.place, self.query, self.resource.fields)

    def form(self, *, is_list: bool = False, is_watch: bool = False) -> Encoding:
        """Return the form asked for; 406 where this server does not make it."""
        accept = self.request.fields.get(b"accept", b"").decode("latin-1")
        return form_of(
            self.resource,
            accept,
            is_list=is_list,
            is_watch=is_watch,
            include=self.query.text("includeObject"),
            now=self.now,
        )


def check_verb(asked: Asked) -> None:
    """Refuse what a built-in resource does not know: namespaces are not cleared."""
    resource, method = asked.resource, asked.request.method
    if resource.custom or not resource.verbs:
        return
    one, many = _VERBS.get(method, ("", ""))
    verb = one if asked.place.name else many
    if verb == "list" and asked.query.true("watch"):
        verb = "watch"
    if verb not in resource.verbs:
        raise not_allowed()
    if not resource.is_stored and verb == "create":
        raise unknown_resource()  # a review is `access`'s to answer


_VERBS = {
    "GET": ("get", "list"),
    "HEAD": ("get", "list"),
    "POST": ("", "create"),
    "PUT": ("update", ""),
    "PATCH": ("patch", ""),
    "DELETE": ("delete", "deletecollection"),
}
"""Of one object, and of many."""


class Verbs:
    """Answers requests for resources from one storage."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        *,
        bookmark_seconds: float,
        too_large_seconds: float,
    ) -> None:
        self._storage, self._clock = storage, clock
        self._bookmark_seconds = bookmark_seconds
        self._too_large_seconds = too_large_seconds
        self.writes = Writes(storage, clock)

    async def answer(self, asked: Asked) -> Response:
        """Answer any verb."""
        method, place = asked.request.method, asked.place
        if place.subresource == "eviction" and asked.resource.qualified == "pods":
            return await self._evict(asked)
        known = not place.subresource
        known = known or (place.subresource == "status" and asked.resource.has_status)
        if not known:
            raise unknown_resource()
        check_verb(asked)
        if method in ("GET", "HEAD"):
            one = place.name and not place.watched
            return await (self._get(asked) if one else self._many(asked))
        if method == "POST" and not place.name:
            return await self._create(asked)
        if method == "DELETE" and not place.subresource:
            return await (self._delete(asked) if place.name else self._clear(asked))
        if method == "PUT" and place.name:
            return await self._update(asked)
        if method == "PATCH" and place.name:
            return await self._patch(asked)
        raise not_allowed()

    # -- reads -----------------------------------------------------------------

    async def _get(self, asked: Asked) -> Response:
        form = asked.form()
        await self._wait_for(asked.query.version())
        found = self._existing(asked)
        return answers.of_bytes(200, form.one(found.object), form.media_type)

    async def _many(self, asked: Asked) -> Response:
        is_watch = asked.query.true("watch") or asked.place.watched
        form = asked.form(is_list=not is_watch, is_watch=is_watch)
        version = asked.query.version()
        check_options(asked.query)
        selects = asked.selects
        if is_watch:
            return await self._watch(asked, form, selects, version)
        await self._wait_for(version)
        found, meta = page_of(
            self._storage,
            asked.resource,
            namespace=asked.place.namespace,
            query=asked.query,
            selects=selects,
            version=version,
        )
        document = form.listed([one.object for one in found], meta)
        return answers.of_bytes(200, document, form.media_type)

    async def _watch(
        self, asked: Asked, form: Encoding, selects: Selects, version: int | None
    ) -> Response:
        query = asked.query
        initial = query.true("sendInitialEvents")
        if initial:
            await self._wait_for(version)
        terms = Terms(
            selects=selects,
            form=form,
            start=version,
            initial=initial,
            bookmarks=query.true("allowWatchBookmarks"),
            every=self._bookmark_seconds,
            seconds=query.number("timeoutSeconds") or WATCH_SECONDS,
        )
        body = Watch(self._storage, asked.resource, terms=terms, clock=self._clock)
        headers = [(b"Content-Type", form.stream_type), answers.PRIVATE]
        return Response(status=200, headers=headers, body=body)

    async def _wait_for(self, version: int | None) -> None:
        """Wait a while for a version that is still to come; 504 where it does not."""
        if version is None or version <= self._storage.version:
            return
        await self._clock.sleep(self._too_large_seconds)
        if version > self._storage.version:
            raise too_large(version, self._storage.version)

    # -- writes ----------------------------------------------------------------

    def _existing(self, asked: Asked) -> Stored:
        place = asked.place
        return self.writes.existing(asked.resource, place.namespace, place.name)

    async def _create(self, asked: Asked) -> Response:
        form = asked.form()
        content = object_of(asked.resource, await body_of(asked.request.body))
        return self._made(asked, form, content)

    def _made(self, asked: Asked, form: Encoding, content: JSON) -> Response:
        made = self.writes.create(
            asked.resource, asked.place.namespace, content, dry_run=asked.dry_run
        )
        return answers.of_bytes(201, form.one(made.object), form.media_type)

    async def _update(self, asked: Asked) -> Response:
        form = asked.form()
        content = object_of(asked.resource, await body_of(asked.request.body))
        try:
            old = self._existing(asked)
        except Refusal:
            if (
                asked.place.subresource
                or asked.resource.plural not in CREATED_BY_UPDATE
            ):
                raise
            return self._made(asked, form, content)
        return self._replaced(asked, form, old, content)

    async def _patch(self, asked: Asked) -> Response:
        form, resource = asked.form(), asked.resource
        kind = asked.request.fields.get(b"content-type", b"").decode("latin-1")
        kind = kind.partition(";")[0].strip()
        check_kind(resource, kind)
        body = await body_of(asked.request.body)
        if kind == APPLY and not asked.query.text("fieldManager"):
            raise invalid_options(NO_MANAGER, kind="PatchOptions")
        try:
            old = self._existing(asked)
        except Refusal:
            if kind != APPLY or asked.place.subresource:
                raise
            return self._made(
                asked, form, applied(resource, body, name=asked.place.name)
            )
        content = patched(resource, old.object, kind=kind, body=body)
        return self._replaced(asked, form, old, content)

    def _replaced(
        self, asked: Asked, form: Encoding, old: Stored, content: JSON
    ) -> Response:
        check_update(asked.resource, old, content)
        new = self.writes.replace(
            asked.resource, old, content, part=asked.part, dry_run=asked.dry_run
        )
        return answers.of_bytes(200, form.one(new.object), form.media_type)

    async def _delete(self, asked: Asked) -> Response:
        form, resource = asked.form(), asked.resource
        body = await body_of(asked.request.body)
        grace = asked.query.text("gracePeriodSeconds")
        options = delete_options(options_of(body), grace, dry_run=asked.dry_run)
        done = self.writes.delete(resource, self._existing(asked), options)
        if done.whole:
            return answers.of_bytes(200, form.one(done.last.object), form.media_type)
        return _told(asked, 200, _gone(resource, done.last))

    async def _clear(self, asked: Asked) -> Response:
        """Delete a collection: all that the selectors choose."""
        form, storage = asked.form(is_list=True), self._storage
        body = await body_of(asked.request.body)
        grace = asked.query.text("gracePeriodSeconds")
        options = delete_options(options_of(body), grace, dry_run=asked.dry_run)
        found, meta = page_of(
            storage,
            asked.resource,
            namespace=asked.place.namespace,
            query=asked.query,
            selects=asked.selects,
            version=None,
        )
        for one in found:
            self.writes.delete(asked.resource, one, options)
        document = form.listed([one.object for one in found], meta)
        return answers.of_bytes(200, document, form.media_type)

    async def _evict(self, asked: Asked) -> Response:
        """A deletion that disruption budgets may refuse; this server has none."""
        if asked.request.method != "POST":
            raise not_allowed()
        body = options_of(await body_of(asked.request.body))
        if body.get("kind") not in (None, "Eviction"):
            raise bad_request("an Eviction is expected")
        if (body.get("metadata") or {}).get("name") != asked.place.name:
            raise bad_request("name in URL does not match name in Eviction object")
        options = delete_options(
            body.get("deleteOptions") or {}, "", dry_run=asked.dry_run
        )
        self.writes.delete(asked.resource, self._existing(asked), options)
        success = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
        return _told(asked, 201, success | {"status": "Success", "code": 201})


def _told(asked: Asked, code: int, status: JSON) -> Response:
    """Answer with a Status in the media type that is wanted most."""
    accept = asked.request.fields.get(b"accept", b"").decode("latin-1")
    protobuf = wants_protobuf(accept)
    return answers.of_status(code, status, protobuf=protobuf)


def _gone(resource: Resource, last: Stored) -> JSON:
    details: JSON = {"name": last.key[1]}
    if resource.group:
        details["group"] = resource.group
    details |= {"kind": resource.plural, "uid": last.object["metadata"].get("uid", "")}
    success = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
    return success | {"status": "Success", "details": details}
