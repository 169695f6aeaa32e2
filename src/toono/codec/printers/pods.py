# SPDX-License-Identifier: Apache-2.0
"""Pods: how many containers are ready, what the pod is doing, how often it restarted.

The one word of STATUS is the most telling of phase, reasons, containers' states and
deletion, in the API server's order of precedence.
"""

from typing import NamedTuple

from toono.codec.printers import descriptions as say
from toono.codec.printers.ages import age, parse_time
from toono.codec.printers.base import (
    AGE_COLUMN,
    NAME_COLUMN,
    Cell,
    Printer,
    RowCondition,
    age_of,
    column,
    is_deleting,
    name_of,
)
from toono.codec.printers.reading import (
    Json,
    at,
    entries,
    flag,
    number,
    size,
    text,
)

_NONE = "<none>"
_GATED = "SchedulingGated"
_TERMINAL = frozenset({"Succeeded", "Failed"})
_CONDITIONS = {
    "Succeeded": RowCondition(
        "Completed", "Succeeded", "The pod has completed successfully."
    ),
    "Failed": RowCondition("Completed", "Failed", "The pod failed."),
}


class _Tally(NamedTuple):
    """Restarts, and when the last container ended (RFC 3339, "" if none did)."""

    restarts: int = 0
    last: str = ""

    def plus(self, status: Json) -> "_Tally":
        ended = text(status, "lastState", "terminated", "finishedAt")
        last = max(self.last, ended, key=_order)
        return _Tally(self.restarts + number(status, "restartCount"), last)


def _order(moment: str) -> float:
    found = parse_time(moment)
    return float("-inf") if found is None else found


class _Progress(NamedTuple):
    """What the init containers tell."""

    ready: int
    all: _Tally
    sidecars: _Tally
    stopped_by: str
    """Why initialization is not over; "" where it is."""


def _cells(pod: Json, now: float) -> list[Cell]:
    sidecars = _sidecars(pod)
    init = _initialization(pod, sidecars)
    reason, ready, tally = _reason(pod), init.ready, init.all
    reason = init.stopped_by or reason
    if not init.stopped_by or _condition(pod, "Initialized") == "True":
        reason, running, tally = _containers(pod, reason, init.sidecars)
        ready += running
    if is_deleting(pod):
        reason = _reason_of_deleted(pod, reason)
    total = size(pod, "spec", "containers") + len(sidecars)
    return [
        name_of(pod),
        f"{ready}/{total}",
        reason,
        _restarts(tally, now),
        age_of(pod, now),
        _ip(pod) or _NONE,
        text(pod, "spec", "nodeName") or _NONE,
        text(pod, "status", "nominatedNodeName") or _NONE,
        _gates(pod),
    ]


def _reason(pod: Json) -> str:
    for one in entries(pod, "status", "conditions"):
        if (text(one, "type"), text(one, "reason")) == ("PodScheduled", _GATED):
            return _GATED
    return text(pod, "status", "reason") or text(pod, "status", "phase")


def _sidecars(pod: Json) -> frozenset[str]:
    """Return the init containers that go on running (KEP-753), by name."""
    return frozenset(
        text(one, "name")
        for one in entries(pod, "spec", "initContainers")
        if text(one, "restartPolicy") == "Always"
    )


def _initialization(pod: Json, sidecars: frozenset[str]) -> _Progress:
    ready, tally, of_sidecars = 0, _Tally(), _Tally()
    total = size(pod, "spec", "initContainers")
    for index, status in enumerate(entries(pod, "status", "initContainerStatuses")):
        tally = tally.plus(status)
        is_sidecar = text(status, "name") in sidecars
        if is_sidecar:
            of_sidecars = of_sidecars.plus(status)
        if _ended_well(status):
            continue
        if is_sidecar and flag(status, "started"):
            ready += flag(status, "ready")
            continue
        why = _init_reason(status) or f"{index}/{total}"
        return _Progress(ready, tally, of_sidecars, f"Init:{why}")
    return _Progress(ready, tally, of_sidecars, "")


def _ended_well(status: Json) -> bool:
    ended = at(status, "state", "terminated")
    return isinstance(ended, dict) and number(ended, "exitCode") == 0


def _init_reason(status: Json) -> str:
    ended = at(status, "state", "terminated")
    if isinstance(ended, dict):
        return text(ended, "reason") or _code(ended)
    waiting = text(status, "state", "waiting", "reason")
    return "" if waiting == "PodInitializing" else waiting


def _code(ended: Json) -> str:
    if signal := number(ended, "signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{number(ended, 'exitCode')}"


def _containers(pod: Json, reason: str, tally: _Tally) -> tuple[str, int, _Tally]:
    """Return the reason, how many containers run and are ready, and restarts.

    From the last to the first, so that the first that has a reason gives it.
    """
    running = 0
    for status in reversed(entries(pod, "status", "containerStatuses")):
        tally = tally.plus(status)
        ended = at(status, "state", "terminated")
        if waiting := text(status, "state", "waiting", "reason"):
            reason = waiting
        elif isinstance(ended, dict):
            reason = text(ended, "reason") or _code(ended)
        elif flag(status, "ready") and at(status, "state", "running") is not None:
            running += 1
    if reason == "Completed" and running:
        reason = "Running" if _condition(pod, "Ready") == "True" else "NotReady"
    return reason, running, tally


def _reason_of_deleted(pod: Json, reason: str) -> str:
    if text(pod, "status", "reason") == "NodeLost":
        return "Unknown"
    return reason if text(pod, "status", "phase") in _TERMINAL else "Terminating"


def _condition(pod: Json, kind: str) -> str:
    for one in entries(pod, "status", "conditions"):
        if text(one, "type") == kind:
            return text(one, "status")
    return ""


def _restarts(tally: _Tally, now: float) -> str:
    if not tally.restarts or parse_time(tally.last) is None:
        return str(tally.restarts)
    return f"{tally.restarts} ({age(tally.last, now)} ago)"


def _ip(pod: Json) -> str:
    """Return the first address; podIP decides where the two differ."""
    addresses = entries(pod, "status", "podIPs")
    first = text(addresses[0], "ip") if addresses else ""
    return text(pod, "status", "podIP") or first


def _gates(pod: Json) -> str:
    gates = entries(pod, "spec", "readinessGates")
    if not gates:
        return _NONE
    passed = sum(_condition(pod, text(one, "conditionType")) == "True" for one in gates)
    return f"{passed}/{len(gates)}"


def _row_condition(pod: Json) -> RowCondition | None:
    return _CONDITIONS.get(text(pod, "status", "phase"))


PODS = Printer(
    (
        NAME_COLUMN,
        column("Ready", say.POD_READY),
        column("Status", say.POD_STATUS),
        column("Restarts", say.POD_RESTARTS),
        AGE_COLUMN,
        column("IP", say.POD_IP, wide=True),
        column("Node", say.POD_NODE, wide=True),
        column("Nominated Node", say.POD_NOMINATED_NODE, wide=True),
        column("Readiness Gates", say.POD_READINESS_GATES, wide=True),
    ),
    _cells,
    _row_condition,
)
