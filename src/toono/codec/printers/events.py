# SPDX-License-Identifier: Apache-2.0
"""Events of both groups; one kind of object that each spells in its own way."""

from typing import NamedTuple

from toono.codec.printers import descriptions as say
from toono.codec.printers.ages import UNKNOWN, age
from toono.codec.printers.base import (
    NAME_COLUMN,
    Cell,
    Column,
    Printer,
    column,
    name_of,
)
from toono.codec.printers.reading import Json, at, mapping, number, text


class _Spelling(NamedTuple):
    target: str
    source: str
    controller: str
    message: str
    first: str
    last: str
    times: str


_CORE = _Spelling(
    "involvedObject",
    "source",
    "reportingComponent",
    "message",
    "firstTimestamp",
    "lastTimestamp",
    "count",
)
_GROUP = _Spelling(
    "regarding",
    "deprecatedSource",
    "reportingController",
    "note",
    "deprecatedFirstTimestamp",
    "deprecatedLastTimestamp",
    "deprecatedCount",
)


def _cells(event: Json, now: float, to: _Spelling) -> list[Cell]:
    first = age(text(event, to.first) or text(event, "eventTime"), now)
    last, count = _seen(event, now, to)
    target = mapping(event, to.target)
    kind, name = text(target, "kind").lower(), text(target, "name")
    return [
        last or first,
        text(event, "type"),
        text(event, "reason"),
        f"{kind}/{name}" if name else kind,
        text(target, "fieldPath"),
        _source(event, to),
        text(event, to.message).strip(),
        first,
        count,
        name_of(event),
    ]


def _seen(event: Json, now: float, to: _Spelling) -> tuple[str, int]:
    """Return when it was last seen ("" where only first) and how often."""
    if at(event, "series") is not None:
        last = age(text(event, "series", "lastObservedTime"), now)
        return last, number(event, "series", "count")
    last = age(text(event, to.last), now)
    return "" if last == UNKNOWN else last, number(event, to.times) or 1


def _source(event: Json, to: _Spelling) -> str:
    component = text(event, to.source, "component") or text(event, to.controller)
    host = text(event, to.source, "host") or text(event, "reportingInstance")
    return f"{component}, {host}" if host else component


def _core(event: Json, now: float) -> list[Cell]:
    return _cells(event, now, _CORE)


def _group(event: Json, now: float) -> list[Cell]:
    return _cells(event, now, _GROUP)


_COLUMNS = (
    column("Last Seen", say.EVENT_LAST),
    column("Type", say.EVENT_TYPE),
    column("Reason", say.EVENT_REASON),
    column("Object", say.EVENT_OBJECT),
    column("Subobject", say.EVENT_SUBOBJECT, wide=True),
    column("Source", say.EVENT_SOURCE, wide=True),
    column("Message", say.EVENT_MESSAGE),
    column("First Seen", say.EVENT_FIRST, wide=True),
    column("Count", say.EVENT_COUNT, wide=True),
    Column("Name", "string", "name", NAME_COLUMN.description, 1),
)
CORE_EVENTS = Printer(_COLUMNS, _core)
GROUP_EVENTS = Printer(_COLUMNS, _group)
