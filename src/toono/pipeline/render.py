# SPDX-License-Identifier: Apache-2.0
"""From rows in the form they are kept in to answers in the form that was asked for.

Whole objects become JSON, protobuf, YAML, metadata or rows of a Table; metadata stays
metadata; rows of a Table that was seen stay rows, or give the metadata in them. Same form, same bytes: then
nothing is decoded. What cannot be made without losing something is not made.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from toono.cache.forms import JSON, PARTIAL, PROTOBUF, TABLE, split_form
from toono.cache.scope import Scope
from toono.codec import partial, table, transcode
from toono.codec.base import Codec, Style
from toono.codec.page import Page
from toono.codec.partial import MetaVersion
from toono.codec.printers.base import Printer
from toono.codec.printers.flows import PRECEDENCE
from toono.codec.printers.registry import FLOWS, printer_of
from toono.codec.registry import for_media_type
from toono.codec.table import Kind, TableForm
from toono.codec.table_ages import age_cell, aged
from toono.codec.table_rows import metadata_of, ordered, without_object
from toono.errors import CodecError
from toono.kube.accept import Form, choose_form
from toono.kube.request import Call
from toono.pipeline.recoded import RECODED, Rendering, recoded, streams

GROUP = "meta.k8s.io"
VERSIONS: Sequence[MetaVersion] = ("v1", "v1beta1")
INCLUDES = ("", "None", "Metadata", "Object")
_OWN = {media_type: Form(media_type=media_type) for media_type in (JSON, PROTOBUF)}
_META_KIND = (PARTIAL, "meta.k8s.io/v1")
Item = Callable[[bytes], bytes]
_ORDERED_BY = {(FLOWS, "flowschemas"): PRECEDENCE}
"""The one Table whose rows an API server does not send in the order of their keys."""


def form_for(call: Call, scope: Scope) -> Form | None:
    """Return the form in which `scope` may answer `call`, None where there is none."""
    own = _OWN.get(scope.question.media_type)
    if own is not None and call.accept and call.accept[0] == own:
        return own
    objects = call.include_object == "Object"
    return choose_form(call.accept, offers(scope, verb=call.verb, objects=objects))


def offers(scope: Scope, *, verb: str, objects: bool = False) -> list[Form]:
    """Return the forms that a scope's rows can be given in, their own first.

    `objects` says that a Table's rows are to hold them whole: rows that were seen do
    not, but there may be none.
    """
    media_type, as_kind = split_form(scope.question.media_type)
    other = PROTOBUF if media_type == JSON else JSON
    metadata = PARTIAL + ("List" if verb == "list" else "")
    in_part = [*_as(metadata, media_type), *_as(metadata, other)]
    if as_kind == TABLE:
        return in_part if objects and scope.rows else _as(TABLE, JSON) + in_part
    if as_kind == PARTIAL:
        return in_part
    found = [Form(media_type=media_type)]
    both = transcode.can_transcode(kind=scope.kind, api_version=scope.api_version)
    if both:
        found.append(Form(media_type=other))
    if media_type == JSON or both:
        found += _as(TABLE, JSON)
        found += (Form(media_type=one) for one in RECODED if streams(one, verb))
    return found + in_part


def rendering(
    call: Call, scope: Scope, form: Form, *, definition: bytes | None, now: float
) -> Rendering:
    """Return what writes `scope`'s rows in `form`.

    `definition` is the custom resource's (stored JSON), where it is known; `now` the
    time that ages are counted to. Its methods raise CodecError where a row cannot be
    turned without losing something.
    """
    media_type, as_kind = split_form(scope.question.media_type)
    version = cast(MetaVersion, form.version)
    if form.as_kind == TABLE:
        include = call.include_object or "Metadata"
        chosen = TableForm(version, cast(table.IncludeObject, include))
        if as_kind == TABLE:
            return SeenRows(scope, chosen, now, age_cell(scope.columns))
        printer = printer_of(scope.kind, scope.api_version, definition=definition)
        to_json = _converter(media_type, JSON, scope.kind, scope.api_version)
        return ComputedRows(scope, chosen, printer, to_json, now)
    if form.as_kind:
        return Metadata(
            form.media_type, version, _cutter(scope, media_type, as_kind, form)
        )
    target = JSON if form.media_type in RECODED else form.media_type
    convert = _converter(media_type, target, scope.kind, scope.api_version)
    return recoded(Whole(scope, _codec(target), convert), form.media_type)


@dataclass(slots=True)
class Whole:
    """Whole objects, in JSON or protobuf."""

    scope: Scope
    codec: Codec
    convert: Item | None

    @property
    def content_type(self) -> str:
        return self.codec.media_type

    @property
    def watch_content_type(self) -> str:
        return self.codec.watch_media_type

    @property
    def style(self) -> Style:
        return "typed" if self.convert else self.scope.style

    def single(self, item: bytes, version: str) -> bytes:
        return self.codec.write_single(
            kind=self.scope.kind,
            api_version=self.scope.api_version,
            style=self.style,
            data=self.convert(item) if self.convert else item,
        )

    def listed(self, items: Sequence[bytes], page: Page) -> list[bytes]:
        return self.codec.join_list(
            kind=self.scope.list_kind or self.scope.kind + "List",
            api_version=self.scope.api_version,
            style=self.style,
            page=page,
            items=list(map(self.convert, items)) if self.convert else items,
        )

    def added(self, items: Sequence[bytes], versions: Sequence[str]) -> list[bytes]:
        return [
            self.codec.write_event(
                event_type="ADDED",
                kind=self.scope.kind,
                api_version=self.scope.api_version,
                style=self.style,
                data=self.convert(item) if self.convert else item,
            )
            for item in items
        ]

    def bookmark(self, version: str, *, end: bool) -> bytes:
        return self.codec.write_bookmark(
            kind=self.scope.kind,
            api_version=self.scope.api_version,
            style=self.style,
            resource_version=version,
            initial_events_end=end,
        )


@dataclass(slots=True)
class Metadata:
    """PartialObjectMetadata, from rows that are such or cut out of whole objects."""

    media_type: str
    version: MetaVersion
    cut: Item

    @property
    def content_type(self) -> str:
        return self.media_type

    @property
    def watch_content_type(self) -> str:
        return _codec(self.media_type).watch_media_type

    def single(self, item: bytes, version: str) -> bytes:
        return partial.write_partial(
            self.cut(item), media_type=self.media_type, version=self.version
        )

    def listed(self, items: Sequence[bytes], page: Page) -> list[bytes]:
        return partial.join_partial_list(
            map(self.cut, items),
            page,
            media_type=self.media_type,
            version=self.version,
        )

    def added(self, items: Sequence[bytes], versions: Sequence[str]) -> list[bytes]:
        return [
            partial.write_partial_event(
                self.cut(item),
                event_type="ADDED",
                media_type=self.media_type,
                version=self.version,
            )
            for item in items
        ]

    def bookmark(self, version: str, *, end: bool) -> bytes:
        return partial.write_partial_bookmark(
            version,
            initial_events_end=end,
            media_type=self.media_type,
            version=self.version,
        )


@dataclass(slots=True)
class ComputedRows:
    """A Table computed from whole objects."""

    scope: Scope
    form: TableForm
    printer: Printer
    to_json: Item | None
    now: float
    content_type: str = JSON
    watch_content_type: str = JSON

    @property
    def _of(self) -> Kind:
        style = "typed" if self.to_json else self.scope.style
        return Kind(self.scope.kind, self.scope.api_version, style)

    def _row(self, item: bytes) -> bytes:
        data = self.to_json(item) if self.to_json else item
        return table.write_row(
            data, self.printer, of=self._of, form=self.form, now=self.now
        )

    def single(self, item: bytes, version: str) -> bytes:
        return b"".join(self.listed([item], Page(version)))

    def listed(self, items: Sequence[bytes], page: Page) -> list[bytes]:
        columns = table.write_columns(self.printer.columns)
        return table.join_table(
            _in_order(self.scope, map(self._row, items), columns),
            page,
            columns=columns,
            version=self.form.version,
            no_rows=self.printer.no_rows,
        )

    def added(self, items: Sequence[bytes], versions: Sequence[str]) -> list[bytes]:
        columns = table.write_columns(self.printer.columns)
        rows = list(map(self._row, items))
        return _row_events(rows, versions, columns, self.form.version)

    def bookmark(self, version: str, *, end: bool) -> bytes:
        return table.write_table_bookmark(
            version,
            self.printer,
            initial_events_end=end,
            columns=None,
            of=self._of,
            form=self.form,
            now=self.now,
        )


@dataclass(slots=True)
class SeenRows:
    """A Table that was seen online, its ages counted on."""

    scope: Scope
    form: TableForm
    now: float
    age_at: int | None
    content_type: str = JSON
    watch_content_type: str = JSON

    def _row(self, item: bytes) -> bytes:
        if self.form.include == "Object":
            raise CodecError("a Table that was seen does not hold whole objects")
        if self.age_at is not None:
            item = aged(item, self.age_at, now=self.now)
        return without_object(item) if self.form.include == "None" else item

    def single(self, item: bytes, version: str) -> bytes:
        return b"".join(self.listed([item], Page(version)))

    def listed(self, items: Sequence[bytes], page: Page) -> list[bytes]:
        columns = self.scope.columns
        return table.join_table(
            _in_order(self.scope, map(self._row, items), columns),
            page,
            columns=columns,
            version=self.form.version,
            no_rows=self.scope.no_rows,
        )

    def added(self, items: Sequence[bytes], versions: Sequence[str]) -> list[bytes]:
        rows = list(map(self._row, items))
        return _row_events(rows, versions, self.scope.columns, self.form.version)

    def bookmark(self, version: str, *, end: bool) -> bytes:
        count = len(msgspec.json.decode(self.scope.columns, type=list[msgspec.Raw]))
        blank = Printer((), lambda _obj, _now: [""] * count)
        return table.write_table_bookmark(
            version,
            blank,
            initial_events_end=end,
            columns=None,
            of=Kind("", "v1"),
            form=self.form,
            now=0.0,
        )


def _in_order(scope: Scope, rows: Iterable[bytes], columns: bytes) -> Iterable[bytes]:
    """Return a Table's rows as an API server orders them; they come by their keys."""
    by = _ORDERED_BY.get((scope.question.group, scope.question.resource))
    return rows if by is None else ordered(rows, columns, by=by)


def _row_events(
    rows: Sequence[bytes],
    versions: Sequence[str],
    columns: bytes,
    meta_version: MetaVersion,
) -> list[bytes]:
    """Return one ADDED frame a row; only the first carries the columns."""
    return [
        table.write_table_event(
            row,
            event_type="ADDED",
            resource_version=version,
            columns=columns if number == 0 else None,
            version=meta_version,
        )
        for number, (row, version) in enumerate(zip(rows, versions, strict=True))
    ]


def _cutter(scope: Scope, media_type: str, as_kind: str, form: Form) -> Item:
    """Return what makes the stored form of metadata, in `form`, of a row."""
    kind, api_version = _META_KIND
    convert = _converter(media_type, form.media_type, kind, api_version)

    def cut(item: bytes) -> bytes:
        if as_kind == TABLE:
            item = metadata_of(item)
        elif not as_kind:
            item = partial.cut_metadata(item, media_type=media_type, style=scope.style)
        return convert(item) if convert else item

    return cut


def _converter(source: str, target: str, kind: str, api_version: str) -> Item | None:
    if source == target:
        return None
    turn = transcode.to_json if target == JSON else transcode.to_protobuf
    return lambda item: turn(item, kind=kind, api_version=api_version)


def _as(kind: str, media_type: str) -> list[Form]:
    return [
        Form(media_type=media_type, as_kind=kind, group=GROUP, version=version)
        for version in VERSIONS
    ]


def _codec(media_type: str) -> Codec:
    codec = for_media_type(media_type)
    assert codec is not None
    return codec
