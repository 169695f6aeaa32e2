# SPDX-License-Identifier: Apache-2.0
"""Tables, as `kubectl get` asks for them: the hub's printers, held to recordings."""

from typing import cast

from toono.codec import table
from toono.codec.base import Style
from toono.codec.page import Page
from toono.codec.partial import MetaVersion
from toono.codec.printers.registry import printer_of
from toono.codec.table import IncludeObject, Kind, TableForm
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.refusals import bad_request
from toono.testing.apiserver.resources import Resource, in_version
from toono.testing.apiserver.shapes import untyped
from toono.testing.apiserver.storage import encode

INCLUDES = ("None", "Metadata", "Object")


class TableEncoding:
    """Writes answers as Tables of one version, with ages counted to `now`."""

    media_type = stream_type = b"application/json"

    def __init__(
        self, resource: Resource, version: MetaVersion, *, include: str, now: float
    ) -> None:
        include = include or "Metadata"
        if include not in INCLUDES:
            raise bad_request(f'unrecognized includeObject value: "{include}"')
        self._resource = resource
        self._now = now
        self._form = TableForm(version, cast(IncludeObject, include))
        style: Style = "unstructured" if resource.custom else "typed"
        self._of = Kind(resource.kind, resource.api_version, style)
        self._printer = printer_of(
            resource.kind, resource.api_version, definition=resource.definition or None
        )
        self._columns: bytes | None = table.write_columns(self._printer.columns)

    def one(self, content: JSON) -> bytes:
        """Return the Table that answers a GET: its version is the object's."""
        return self._joined([content], Page(content["metadata"]["resourceVersion"]))

    def listed(self, contents: list[JSON], meta: JSON) -> bytes:
        """Return the Table that answers a LIST."""
        page = Page(
            meta["resourceVersion"],
            meta.get("continue", ""),
            meta.get("remainingItemCount"),
        )
        return self._joined(contents, page)

    def event(self, kind: str, content: JSON) -> bytes:
        """Return a watch's frame; only the first carries the columns."""
        columns, self._columns = self._columns, None
        return table.write_table_event(
            self._row(content),
            event_type=kind,
            resource_version=content["metadata"]["resourceVersion"],
            columns=columns,
            version=self._form.version,
        )

    def bookmark(self, version: str, *, ends_burst: bool = False) -> bytes:
        """Return a bookmark's frame."""
        columns, self._columns = self._columns, None
        return table.write_table_bookmark(
            version,
            self._printer,
            initial_events_end=ends_burst,
            columns=columns,
            of=self._of,
            form=self._form,
            now=self._now,
        )

    def error(self, status: JSON) -> bytes:
        """Return an ERROR frame."""
        return b'{"type":"ERROR","object":%b}\n' % encode(status)

    def _joined(self, contents: list[JSON], page: Page) -> bytes:
        pieces = table.join_table(
            map(self._row, contents),
            page,
            columns=table.write_columns(self._printer.columns),
            version=self._form.version,
            no_rows=self._printer.no_rows,
        )
        return b"".join(pieces)

    def _row(self, content: JSON) -> bytes:
        whole = in_version(self._resource, content)
        data = encode(whole if self._resource.custom else untyped(whole))
        return table.write_row(
            data, self._printer, of=self._of, form=self._form, now=self._now
        )
