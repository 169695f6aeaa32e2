# SPDX-License-Identifier: Apache-2.0
"""Name and time of creation: kinds for which the API server has no columns either."""

from toono.codec.printers.base import NAME_COLUMN, Cell, Printer, column, name_of
from toono.codec.printers.descriptions import CREATED
from toono.codec.printers.reading import Json, text


def _cells(obj: Json, _now: float) -> list[Cell]:
    return [name_of(obj), text(obj, "metadata", "creationTimestamp") or _ZERO_TIME]


_ZERO_TIME = "0001-01-01T00:00:00Z"

FALLBACK = Printer(
    (NAME_COLUMN, column("Created At", CREATED, of_type="date")),
    _cells,
    no_rows="null",
)
