# SPDX-License-Identifier: Apache-2.0
"""Nodes, and what else stands for them."""

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
from toono.codec.printers.reading import (
    Json,
    entries,
    flag,
    number,
    size,
    string_map,
    text,
)

_NONE, _UNKNOWN = "<none>", "<unknown>"
_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _node(obj: Json, now: float) -> list[Cell]:
    system = ("status", "nodeInfo")
    return [
        name_of(obj),
        _status(obj),
        ",".join(_roles(obj)) or _NONE,
        age_of(obj, now),
        text(obj, *system, "kubeletVersion"),
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        text(obj, *system, "osImage") or _UNKNOWN,
        text(obj, *system, "kernelVersion") or _UNKNOWN,
        text(obj, *system, "containerRuntimeVersion") or _UNKNOWN,
    ]


def _status(node: Json) -> str:
    ready = "Unknown"
    for one in entries(node, "status", "conditions"):
        if text(one, "type") == "Ready":
            ready = "Ready" if text(one, "status") == "True" else "NotReady"
    if flag(node, "spec", "unschedulable"):
        return f"{ready},SchedulingDisabled"
    return ready


def _roles(node: Json) -> list[str]:
    found = set()
    for key, value in string_map(node, "metadata", "labels").items():
        if key.startswith(_ROLE_PREFIX):
            found.add(key.removeprefix(_ROLE_PREFIX))
        elif key == _ROLE_LABEL:
            found.add(value)
    return sorted(found - {""})


def _address(node: Json, kind: str) -> str:
    for one in entries(node, "status", "addresses"):
        if text(one, "type") == kind:
            return text(one, "address")
    return _NONE


def _lease(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), text(obj, "spec", "holderIdentity"), age_of(obj, now)]


def _runtime_class(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), text(obj, "handler"), age_of(obj, now)]


def _csi_node(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), size(obj, "spec", "drivers"), age_of(obj, now)]


def _priority_class(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        number(obj, "value"),
        flag(obj, "globalDefault"),
        age_of(obj, now),
        text(obj, "preemptionPolicy"),
    ]


NODES = Printer(
    (
        NAME_COLUMN,
        column("Status", "Whether the node is ready, and takes pods."),
        column("Roles", "Roles that its labels give it."),
        AGE_COLUMN,
        column("Version", say.NODE_KUBELET_VERSION),
        column("Internal-IP", say.NODE_ADDRESSES, wide=True),
        column("External-IP", say.NODE_ADDRESSES, wide=True),
        column("OS-Image", say.NODE_OS_IMAGE, wide=True),
        column("Kernel-Version", say.NODE_KERNEL_VERSION, wide=True),
        column("Container-Runtime", say.NODE_RUNTIME_VERSION, wide=True),
    ),
    _node,
)
LEASES = Printer((NAME_COLUMN, column("Holder", say.LEASE_HOLDER), AGE_COLUMN), _lease)
RUNTIME_CLASSES = Printer(
    # The API server looks its description up where there is none.
    (NAME_COLUMN, column("Handler"), AGE_COLUMN),
    _runtime_class,
)
CSI_NODES = Printer(
    (
        NAME_COLUMN,
        column("Drivers", "How many CSI drivers the node has.", of_type="integer"),
        AGE_COLUMN,
    ),
    _csi_node,
)
PRIORITY_CLASSES = Printer(
    (
        NAME_COLUMN,
        column("Value", "The priority itself.", of_type="integer"),
        column("Global-Default", "Whether others' pods get it.", of_type="boolean"),
        AGE_COLUMN,
        column("PreemptionPolicy", "Whether its pods drive others out."),
    ),
    _priority_class,
)
