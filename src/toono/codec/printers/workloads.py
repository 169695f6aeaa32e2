# SPDX-License-Identifier: Apache-2.0
"""What makes pods, and keeps them: apps, replication controllers, budgets, scalers."""

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
from toono.codec.printers.label_text import (
    containers,
    labels_text,
    raw_selector_text,
    selector_text,
)
from toono.codec.printers.reading import (
    Json,
    at,
    entries,
    flag,
    number,
    string_map,
    text,
)

_POD_SPEC = ("spec", "template", "spec")
CONTAINER_COLUMNS = (
    column("Containers", "Names of the template's containers.", wide=True),
    column("Images", "Images of the template's containers.", wide=True),
)
SELECTOR_COLUMN = column("Selector", "Which pods belong to it.", wide=True)
_READY = "How many pods are ready, of how many wanted."


def _ready_of_wanted(obj: Json) -> str:
    ready = number(obj, "status", "readyReplicas")
    return f"{ready}/{number(obj, 'spec', 'replicas')}"


def _deployment(obj: Json, now: float) -> list[Cell]:
    selector = raw_selector_text(obj, "spec", "selector")
    return [
        name_of(obj),
        _ready_of_wanted(obj),
        number(obj, "status", "updatedReplicas"),
        number(obj, "status", "availableReplicas"),
        age_of(obj, now),
        *containers(obj, *_POD_SPEC),
        "<invalid>" if selector is None else selector,
    ]


def _stateful_set(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        _ready_of_wanted(obj),
        age_of(obj, now),
        *containers(obj, *_POD_SPEC),
    ]


def _replica_set(obj: Json, now: float) -> list[Cell]:
    return [
        *_replicas(obj, now),
        *containers(obj, *_POD_SPEC),
        selector_text(obj, "spec", "selector"),
    ]


def _replication_controller(obj: Json, now: float) -> list[Cell]:
    return [
        *_replicas(obj, now),
        *containers(obj, *_POD_SPEC),
        labels_text(string_map(obj, "spec", "selector")),
    ]


def _replicas(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        number(obj, "spec", "replicas"),
        number(obj, "status", "replicas"),
        number(obj, "status", "readyReplicas"),
        age_of(obj, now),
    ]


def _daemon_set(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        number(obj, "status", "desiredNumberScheduled"),
        number(obj, "status", "currentNumberScheduled"),
        number(obj, "status", "numberReady"),
        number(obj, "status", "updatedNumberScheduled"),
        number(obj, "status", "numberAvailable"),
        labels_text(string_map(obj, *_POD_SPEC, "nodeSelector")),
        age_of(obj, now),
        *containers(obj, *_POD_SPEC),
        selector_text(obj, "spec", "selector"),
    ]


def _controller_revision(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        _controller(obj),
        number(obj, "revision"),
        age_of(obj, now),
    ]


def _controller(obj: Json) -> str:
    for owner in entries(obj, "metadata", "ownerReferences"):
        if flag(owner, "controller"):
            group, slash, _ = text(owner, "apiVersion").partition("/")
            kind = text(owner, "kind") + (f".{group}" if slash else "")
            name = text(owner, "name")
            return f"{kind.lower()}/{name}" if kind else name
    return "<none>"


def _pod_template(obj: Json, _now: float) -> list[Cell]:
    return [
        name_of(obj),
        *containers(obj, "template", "spec"),
        labels_text(string_map(obj, "template", "metadata", "labels")),
    ]


def _pod_disruption_budget(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        _int_or_string(obj, "minAvailable"),
        _int_or_string(obj, "maxUnavailable"),
        number(obj, "status", "disruptionsAllowed"),
        age_of(obj, now),
    ]


def _int_or_string(obj: Json, field: str) -> str:
    found = at(obj, "spec", field)
    if isinstance(found, str):
        return found
    return "N/A" if found is None else str(number(found))


DEPLOYMENTS = Printer(
    (
        NAME_COLUMN,
        column("Ready", _READY),
        column("Up-to-date", "How many pods have the wanted template."),
        column("Available", "How many pods have been ready for long enough."),
        AGE_COLUMN,
        *CONTAINER_COLUMNS,
        SELECTOR_COLUMN,
    ),
    _deployment,
)
STATEFUL_SETS = Printer(
    (NAME_COLUMN, column("Ready", _READY), AGE_COLUMN, *CONTAINER_COLUMNS),
    _stateful_set,
)
REPLICA_SETS = Printer(
    (
        NAME_COLUMN,
        column("Desired", "How many pods are wanted.", of_type="integer"),
        column("Current", "How many pods there are.", of_type="integer"),
        column("Ready", "How many pods are ready.", of_type="integer"),
        AGE_COLUMN,
        *CONTAINER_COLUMNS,
        SELECTOR_COLUMN,
    ),
    _replica_set,
)
REPLICATION_CONTROLLERS = Printer(
    (
        NAME_COLUMN,
        column("Desired", say.RC_DESIRED, of_type="integer"),
        column("Current", say.RC_CURRENT, of_type="integer"),
        column("Ready", say.RC_READY, of_type="integer"),
        AGE_COLUMN,
        *CONTAINER_COLUMNS,
        column("Selector", say.RC_SELECTOR, wide=True),
    ),
    _replication_controller,
)
DAEMON_SETS = Printer(
    (
        NAME_COLUMN,
        column("Desired", "How many nodes are to run the pod.", of_type="integer"),
        column("Current", "How many of these run it.", of_type="integer"),
        column("Ready", "On how many of these it is ready.", of_type="integer"),
        column("Up-to-date", "How many run the wanted template.", of_type="integer"),
        column("Available", "On how many it has been ready.", of_type="integer"),
        column("Node Selector", say.POD_NODE_SELECTOR),
        AGE_COLUMN,
        *CONTAINER_COLUMNS,
        SELECTOR_COLUMN,
    ),
    _daemon_set,
)
CONTROLLER_REVISIONS = Printer(
    (
        NAME_COLUMN,
        column("Controller", "What the revision belongs to."),
        column("Revision", "Its number."),
        AGE_COLUMN,
    ),
    _controller_revision,
)
POD_TEMPLATES = Printer(
    (
        NAME_COLUMN,
        column("Containers", "Names of the template's containers."),
        column("Images", "Images of the template's containers."),
        column("Pod Labels", "Labels that its pods get."),
    ),
    _pod_template,
)
POD_DISRUPTION_BUDGETS = Printer(
    (
        NAME_COLUMN,
        column("Min Available", "How many pods must stay."),
        column("Max Unavailable", "How many pods may be missing."),
        column("Allowed Disruptions", "How many may go now.", of_type="integer"),
        AGE_COLUMN,
    ),
    _pod_disruption_budget,
)
