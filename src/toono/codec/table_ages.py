# SPDX-License-Identifier: Apache-2.0
"""The Age cells of a Table that was seen, counted to now.

They are the one thing in a Table that is wrong as soon as it was said: a pod shown
"84s" old after three days without a link would look as if it had just been restarted.
The row's own metadata tells when the object was created. Rows without metadata, and
those that a clock behind the cluster's would make younger than nothing, stay.
"""

import msgspec
from msgspec import Raw

from toono.codec.json_strict import read
from toono.codec.printers.ages import human_duration, parse_time
from toono.codec.printers.descriptions import CREATED

AGE = "Age"
DATE = "date"
"""Of additionalPrinterColumns: the API server writes them as ages
(apiextensions-apiserver, pkg/registry/customresource/tableconvertor)."""


class _Definition(msgspec.Struct):
    name: str = ""
    type: str = ""
    description: str = ""


class _Metadata(msgspec.Struct, rename="camel"):
    creation_timestamp: str | None = None


class _Object(msgspec.Struct):
    metadata: _Metadata | None = None


class _Row(msgspec.Struct):
    cells: list[Raw]
    conditions: Raw | msgspec.UnsetType = msgspec.UNSET
    object: Raw = Raw(b"null")


_definitions = msgspec.json.Decoder(list[_Definition] | None).decode
_row = msgspec.json.Decoder(_Row).decode
_object = msgspec.json.Decoder(_Object | None).decode


def age_cell(columns: bytes) -> int | None:
    """Return which cell of a Table with these columnDefinitions is an object's age."""
    for index, one in enumerate(read(_definitions, columns) or ()):
        if one.name == AGE and (one.type == DATE or one.description == CREATED):
            return index
    return None


def aged(row: bytes, at: int, *, now: float) -> bytes:
    """Return a row with its cell `at` counted to `now` (seconds since 1970).

    CodecError where the row is none.
    """
    found = read(_row, row)
    held = read(_object, bytes(found.object))
    created = held.metadata.creation_timestamp if held and held.metadata else None
    moment = parse_time(created or "")
    if moment is None or now < moment or at >= len(found.cells):
        return row
    found.cells[at] = Raw(msgspec.json.encode(human_duration(now - moment)))
    return msgspec.json.encode(found)
