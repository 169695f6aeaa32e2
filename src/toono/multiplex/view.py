# SPDX-License-Identifier: Apache-2.0
"""What readers of one question and form see of the shared state.

Selectors are applied as an API server's watch cache does: an object that begins to
match is ADDED, one that ceases to is DELETED at the version of that change. Frames are
made once for all readers of a form.
"""

from collections.abc import Callable, Mapping
from functools import partial

from toono.codec import transcode
from toono.codec.base import Codec
from toono.codec.page import Page
from toono.codec.registry import for_media_type
from toono.filters.base import METADATA
from toono.filters.fields import FORMS, Field, change_inner
from toono.kube import selectors
from toono.multiplex.state import Change, Entry, Kind, State

VERSION = Field("resourceVersion", 6, ("name", "generateName", "namespace", "uid"))


class View:
    """One question over a state, in one form."""

    def __init__(
        self,
        state: State,
        *,
        namespace: str,
        label_selector: str,
        field_selector: str,
        media_type: str,
    ) -> None:
        assert state.kind is not None, "a state that is empty shows nothing"
        self._state = state
        self._kind: Kind = state.kind
        self._namespace = namespace
        self._own = _codec(self._kind.media_type)
        self.codec = _codec(media_type)
        self._labels: Callable[[Mapping[str, str]], bool] | None = None
        self._fields: Callable[[Callable[[str], str]], bool] | None = None
        if label_selector:
            self._labels = selectors.label_matcher(label_selector)
        if field_selector:
            self._fields = selectors.field_matcher(field_selector)

    def shows(self, entry: Entry) -> bool:
        """Say whether an object is one that was asked for."""
        if self._namespace and entry.key[0] != self._namespace:
            return False
        if self._labels is not None and not self._labels(entry.labels(self._own)):
            return False
        return self._fields is None or self._fields(partial(self._field, entry))

    def _field(self, entry: Entry, path: str) -> str:
        kind = self._kind
        return self._own.field(
            entry.data, path, kind=kind.kind, api_version=kind.api_version
        )

    # -- what is there ---------------------------------------------------------

    def entries(self) -> list[Entry]:
        """Return what is there now, in the API server's order."""
        entries = self._state.entries
        shown = (entries[key] for key in sorted(entries, key="/".join))
        return [entry for entry in shown if self.shows(entry)]

    def listed(self) -> list[bytes]:
        """Return pieces that join to the answer to a LIST."""
        kind = self._kind
        return self.codec.join_list(
            kind=kind.list_kind,
            api_version=kind.api_version,
            style=kind.style,
            page=Page(str(self._state.version)),
            items=map(self._form, self.entries()),
        )

    def added(self) -> list[bytes]:
        """Return the frames that tell what is there now."""
        return [self._frame("ADDED", self._form(one)) for one in self.entries()]

    def bookmark(self, *, end: bool) -> bytes:
        """Return the frame of a bookmark at the version of now."""
        return self.codec.write_bookmark(
            kind=self._kind.kind,
            api_version=self._kind.api_version,
            style=self._kind.style,
            resource_version=str(self._state.version),
            initial_events_end=end,
        )

    # -- what changes ----------------------------------------------------------

    def frame(self, change: Change) -> bytes | None:
        """Return what its readers see of a change; None where that is nothing."""
        now = change.type != "DELETED" and self.shows(change.entry)
        before = change.before is not None and self.shows(change.before)
        if not now and not before:
            return None
        event_type = "DELETED" if not now else "MODIFIED" if before else "ADDED"
        key = (self.codec.media_type, event_type)
        found = change.frames.get(key)
        if found is None:
            found = change.frames[key] = self._frame(
                event_type, self._form(self._subject(change, event_type))
            )
        return found

    def _subject(self, change: Change, event_type: str) -> Entry:
        """Return the object of an event.

        One that ceases to match is shown as it was, at the version of the change.
        """
        if event_type != "DELETED" or change.type == "DELETED":
            return change.entry
        assert change.before is not None
        fields = FORMS[self._kind.media_type]
        version = str(change.version)
        gone = Entry.__new__(Entry)
        gone.forms = {}
        gone.data = change_inner(
            fields,
            change.before.data,
            METADATA,
            lambda meta: fields.put_text(meta, VERSION, version),
        )
        return gone

    def _form(self, entry: Entry) -> bytes:
        kind, target = self._kind, self.codec.media_type
        if target == kind.media_type:
            return entry.data
        found = entry.forms.get(target)
        if found is None:
            turn = (
                transcode.to_json
                if target == "application/json"
                else transcode.to_protobuf
            )
            found = turn(entry.data, kind=kind.kind, api_version=kind.api_version)
            entry.forms[target] = found
        return found

    def _frame(self, event_type: str, data: bytes) -> bytes:
        kind = self._kind
        return self.codec.write_event(
            event_type=event_type,
            kind=kind.kind,
            api_version=kind.api_version,
            style=kind.style,
            data=data,
        )


def _codec(media_type: str) -> Codec:
    codec = for_media_type(media_type)
    assert codec is not None
    return codec
