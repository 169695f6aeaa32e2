# SPDX-License-Identifier: Apache-2.0
"""What a printer is: the columns of a kind, and the cells of one of its objects."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from toono.codec.printers.ages import age
from toono.codec.printers.descriptions import CREATED, NAME
from toono.codec.printers.reading import Json, text

Cell = str | int | float | bool | None
NoRows = Literal["[]", "null"]
"""How an empty Table writes its rows: Go's empty slice, or its nil one."""


class Column(msgspec.Struct, frozen=True):
    """A column, in the order of its members on the wire."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0
    """0 always shown, 1 with -o wide."""


class RowCondition(NamedTuple):
    """What a client may colour or hide a row by."""

    type: str
    reason: str
    message: str


def no_condition(_: Json) -> RowCondition | None:
    """Return the condition of rows that never have one."""
    return None


class Printer(NamedTuple):
    """How objects of one kind are shown. `cells` and `condition` never raise."""

    columns: tuple[Column, ...]
    cells: Callable[[Json, float], list[Cell]]
    """Of a decoded object and the time in seconds since 1970."""
    condition: Callable[[Json], RowCondition | None] = no_condition
    no_rows: NoRows = "[]"


def column(
    name: str, description: str = "", *, of_type: str = "string", wide: bool = False
) -> Column:
    """Return a column; `wide` ones are shown with -o wide alone."""
    return Column(name, of_type, "", description, int(wide))


NAME_COLUMN = Column("Name", "string", "name", NAME)
AGE_COLUMN = column("Age", CREATED)


def name_of(obj: Json) -> str:
    """Return metadata.name."""
    return text(obj, "metadata", "name")


def age_of(obj: Json, now: float) -> str:
    """Return how long ago the object was created."""
    return age(text(obj, "metadata", "creationTimestamp"), now)


def is_deleting(obj: Json) -> bool:
    """Say whether metadata.deletionTimestamp is set."""
    return text(obj, "metadata", "deletionTimestamp") != ""
