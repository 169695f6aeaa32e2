# SPDX-License-Identifier: Apache-2.0
"""The values that codecs yield, and the contract that each codec meets.

A payload stays bytes: codecs split, join and read metadata, they never decode an
object. The stored form of an object is the object alone: JSON of built-in kinds
without the leading kind and apiVersion, protobuf without its envelope, custom
resources as they are. `style` says which of the two JSON forms an API server
wrote: "typed" (kind and apiVersion first, items without them) or "unstructured"
(keys in alphabetical order, items whole).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from toono.codec.page import Page

Style = Literal["typed", "unstructured"]


class Object(NamedTuple):
    """One object: what the hub reads of it, and its stored form."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    deleting: bool
    """metadata.deletionTimestamp is set."""
    data: bytes
    """The stored form."""
    ended: bool = False
    """It is `deleting` and waits for nothing more: no grace, no finalizers. The answer
    to a write that tells this tells the last of the object."""


class ListParts(NamedTuple):
    """A list answer, taken apart."""

    kind: str
    """Of the list itself: PodList."""
    api_version: str
    style: Style
    resource_version: str
    continue_token: str
    items: Sequence[Object]


class Single(NamedTuple):
    """A single object's answer, taken apart."""

    kind: str
    api_version: str
    style: Style
    object: Object


class Event(NamedTuple):
    """One watch frame, taken apart.

    For BOOKMARK only `kind`, `api_version`, `style`, `object.resource_version` and
    `initial_events_end` hold; for ERROR `object` is None and `status_code` holds.
    """

    type: str
    kind: str
    api_version: str
    style: Style
    object: Object | None
    initial_events_end: bool
    status_code: int


class FrameSplitter(Protocol):
    """Cuts a watch stream into whole frames, whatever pieces it comes in."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Take bytes; return the frames that are now whole, each as on the wire.

        Raises CodecError where a frame is longer than the limit or cannot start
        so. Joined, all frames and `pending` equal all bytes fed.
        """
        ...

    @property
    def pending(self) -> bytes:
        """Bytes of a frame that is not whole yet."""
        ...


class ListReader(Protocol):
    """Takes a list apart while it comes, so that little is left to do at its end."""

    @property
    def left(self) -> int:
        """Bytes that will be read at the end."""
        ...

    @property
    def recognised(self) -> int:
        """How many of those expected were there, by their uid."""
        ...

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        ...

    def finish(self) -> ListParts:
        """Return what `split_list` would of all that was fed; CodecError as it does."""
        ...


class Codec(Protocol):
    """One media type: take answers apart, put answers together, bytes for bytes."""

    media_type: str
    watch_media_type: str

    def split_list(self, body: bytes) -> ListParts:
        """Take a list answer apart; CodecError where it is none (a Status too)."""
        ...

    def list_reader(self, expected: Sequence[Object] = ()) -> ListReader:
        """Return what reads one list as it comes; much of it may be as `expected`."""
        ...

    def read_single(self, body: bytes) -> Single:
        """Take a single object's answer apart."""
        ...

    def join_list(
        self,
        *,
        kind: str,
        api_version: str,
        style: Style,
        page: Page,
        items: Iterable[bytes],
    ) -> list[bytes]:
        """Return pieces that join to the list answer the API server would send."""
        ...

    def write_single(
        self, *, kind: str, api_version: str, style: Style, data: bytes
    ) -> bytes:
        """Return the answer to a GET for the stored form `data`."""
        ...

    def frames(self) -> FrameSplitter:
        """Return a splitter for one watch stream."""
        ...

    def read_event(self, frame: bytes) -> Event:
        """Take one whole frame apart."""
        ...

    def write_event(
        self, *, event_type: str, kind: str, api_version: str, style: Style, data: bytes
    ) -> bytes:
        """Return the frame of an ADDED, MODIFIED or DELETED event."""
        ...

    def write_bookmark(
        self,
        *,
        kind: str,
        api_version: str,
        style: Style,
        resource_version: str,
        initial_events_end: bool,
    ) -> bytes:
        """Return the frame of a bookmark; its object is of the resource's kind."""
        ...

    def write_error(self, status: bytes) -> bytes:
        """Return an ERROR frame around a Status (as `write_status` made it)."""
        ...

    def write_status(self, status: Mapping[str, object]) -> bytes:
        """Return a v1 Status, given as its JSON form, as a body."""
        ...

    def read_status(self, body: bytes) -> Mapping[str, object] | None:
        """Return a v1 Status body in its JSON form; None where it is none."""
        ...

    def labels(self, data: bytes) -> Mapping[str, str]:
        """Return metadata.labels of a stored form."""
        ...

    def field(self, data: bytes, path: str, *, kind: str, api_version: str) -> str:
        """Return the value at a field-selector path (spec.nodeName), "" if unset."""
        ...
