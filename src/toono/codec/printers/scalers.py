# SPDX-License-Identifier: Apache-2.0
"""Autoscalers of pods: what they measure against what they aim at."""

from toono.codec.printers.base import (
    AGE_COLUMN,
    NAME_COLUMN,
    Cell,
    Printer,
    age_of,
    column,
    name_of,
)
from toono.codec.printers.reading import (
    Json,
    at,
    entries,
    has_number,
    number,
    quantity,
    text,
)

_UNKNOWN = "<unknown>"
_NIL = "<nil>"
"""What Go prints of a quantity that is not there."""
_SHOWN = 2
_SOURCES = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_NAMED = frozenset({"resource", "containerResource"})
"""Sources of which the cell names the resource."""


def _autoscaler(obj: Json, now: float) -> list[Cell]:
    target = ("spec", "scaleTargetRef")
    least = number(obj, "spec", "minReplicas")
    return [
        name_of(obj),
        f"{text(obj, *target, 'kind')}/{text(obj, *target, 'name')}",
        _metrics(obj),
        str(least) if has_number(obj, "spec", "minReplicas") else "<unset>",
        number(obj, "spec", "maxReplicas"),
        number(obj, "status", "currentReplicas"),
        age_of(obj, now),
    ]


def _metrics(obj: Json) -> str:
    wanted = entries(obj, "spec", "metrics")
    if not wanted:
        return _processor(obj)
    measured = entries(obj, "status", "currentMetrics")
    shown = [
        _metric(one, measured[index] if index < len(measured) else {})
        for index, one in enumerate(wanted[:_SHOWN])
    ]
    more = f" + {len(wanted) - _SHOWN} more..." if len(wanted) > _SHOWN else ""
    return ", ".join(shown) + more


def _processor(obj: Json) -> str:
    """Return the one metric that autoscaling/v1 knows."""
    if not has_number(obj, "spec", "targetCPUUtilizationPercentage"):
        return "<none>"
    now = _percent(obj, "status", "currentCPUUtilizationPercentage", unset=_UNKNOWN)
    return f"cpu: {now}/{number(obj, 'spec', 'targetCPUUtilizationPercentage')}%"


def _metric(wanted: Json, measured: Json) -> str:
    source = _SOURCES.get(text(wanted, "type"))
    if source is None:
        return "<unknown type>"
    target, current = (source, "target"), (source, "current")
    if source in _NAMED:
        name = text(wanted, source, "name")
        if at(wanted, *target, "averageValue") is None:
            now = _percent(measured, *current, "averageUtilization", unset=_UNKNOWN)
            aim = _percent(wanted, *target, "averageUtilization", unset="<auto>")
            return f"{name}: {now}/{aim}"
        return f"{name}: {_values(wanted, measured, source, 'averageValue')}"
    if source == "pods":
        return _values(wanted, measured, source, "averageValue")
    if at(wanted, *target, "averageValue") is None:
        return _values(wanted, measured, source, "value")
    if at(measured, *current, "averageValue") is None:
        measured = {}
    return f"{_values(wanted, measured, source, 'averageValue')} (avg)"


def _values(wanted: Json, measured: Json, source: str, field: str) -> str:
    now = _UNKNOWN
    if at(measured, source) is not None:
        now = _quantity(measured, source, "current", field)
    return f"{now}/{_quantity(wanted, source, 'target', field)}"


def _quantity(value: Json, *path: str) -> str:
    return _NIL if at(value, *path) is None else quantity(value, *path)


def _percent(value: Json, *path: str, unset: str) -> str:
    return f"{number(value, *path)}%" if has_number(value, *path) else unset


AUTOSCALERS = Printer(
    (
        NAME_COLUMN,
        column("Reference", "What it scales."),
        column("Targets", "What is measured, and what it aims at."),
        column("MinPods", "How many pods there are at least."),
        column("MaxPods", "How many pods there are at most."),
        column("Replicas", "How many pods there are."),
        AGE_COLUMN,
    ),
    _autoscaler,
)
