# SPDX-License-Identifier: Apache-2.0
"""What a filter is: a pure function over the bytes of one object.

It returns the same bytes object where it changes nothing, other bytes where it does,
and None where its reader must not see the object. It never sees a list, a stream, a
client or a clock; what it needs to know beside the object it is built with.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from toono.filters.fields import Field, Fields

METADATA = Field("metadata", 1)
SPEC = Field("spec", 2)
NAME = Field("name", 1)
NAMESPACE = Field("namespace", 3)
LABELS = Field("labels", 11)
ANNOTATIONS = Field(
    "annotations",
    12,
    (
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
    ),
)

ADDRESS_PORT = "https"
"""What the API server's own Service and EndpointSlice call their port."""

API_SERVICE = (b'"kubernetes"', b"\n\nkubernetes")
"""The name of that Service as a JSON string, and as field 1 of protobuf metadata."""


class Filter(Protocol):
    """One filter, ready for one kind of question."""

    @property
    def marks(self) -> tuple[bytes, ...]:
        """Bytes of which an object that is touched holds one; () where none tell.

        They are names in ASCII, which both forms write as they are: an answer without
        any of them needs no look at its objects.
        """
        ...

    def __call__(self, fields: Fields, data: bytes) -> bytes | None:
        """Return what the reader sees of one object; CodecError where it is none."""
        ...


class Door(NamedTuple):
    """Where pods reach the hub."""

    host: str
    port: int


class Identity(NamedTuple):
    """What filters choose by."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def named(fields: Fields, data: bytes) -> tuple[str, str]:
    """Return (namespace, name) of an object."""
    meta = fields.inner(data, METADATA) or fields.empty
    return fields.text(meta, NAMESPACE), fields.text(meta, NAME)


def identity(fields: Fields, data: bytes) -> Identity:
    """Return an object's name, labels and annotations."""
    meta = fields.inner(data, METADATA) or fields.empty
    return Identity(
        fields.text(meta, NAMESPACE),
        fields.text(meta, NAME),
        fields.entries(meta, LABELS),
        fields.entries(meta, ANNOTATIONS),
    )
