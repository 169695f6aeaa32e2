# SPDX-License-Identifier: Apache-2.0
"""How the API server shares itself out: flow schemas and their priority levels."""

from toono.codec.printers import descriptions as say
from toono.codec.printers.base import (
    AGE_COLUMN,
    NAME_COLUMN,
    Cell,
    Printer,
    age_of,
    column,
    name_of,
)
from toono.codec.printers.reading import Json, at, entries, number, text, text_or

_NONE = "<none>"
_UNTOLD = "?"
PRECEDENCE = "MatchingPrecedence"


def _flow_schema(obj: Json, now: float) -> list[Cell]:
    dangling = (
        text(one, "status")
        for one in entries(obj, "status", "conditions")
        if text(one, "type") == "Dangling"
    )
    return [
        name_of(obj),
        text(obj, "spec", "priorityLevelConfiguration", "name"),
        number(obj, "spec", "matchingPrecedence"),
        text_or(_NONE, obj, "spec", "distinguisherMethod", "type"),
        age_of(obj, now),
        next(dangling, _UNTOLD),
    ]


def _priority_level(obj: Json, now: float) -> list[Cell]:
    limited = at(obj, "spec", "limited")
    queuing = at(limited, "limitResponse", "queuing")
    keys = ("queues", "handSize", "queueLengthLimit")
    told: list[Cell] = [_NONE] * len(keys)
    if queuing is not None:
        told = [number(queuing, key) for key in keys]
    return [
        name_of(obj),
        text(obj, "spec", "type"),
        _NONE if limited is None else number(limited, "nominalConcurrencyShares"),
        *told,
        age_of(obj, now),
    ]


FLOW_SCHEMAS = Printer(
    (
        NAME_COLUMN,
        column("PriorityLevel", say.FLOW_LEVEL),
        column(PRECEDENCE, say.FLOW_PRECEDENCE),
        column("DistinguisherMethod", say.FLOW_DISTINGUISHER),
        AGE_COLUMN,
        column("MissingPL", say.FLOW_MISSING),
    ),
    _flow_schema,
)
PRIORITY_LEVELS = Printer(
    (
        NAME_COLUMN,
        column("Type", say.LEVEL_TYPE),
        column("NominalConcurrencyShares", say.LEVEL_SHARES),
        column("Queues", say.LEVEL_QUEUES),
        column("HandSize", say.LEVEL_HAND),
        column("QueueLengthLimit", say.LEVEL_LENGTH),
        AGE_COLUMN,
    ),
    _priority_level,
)
