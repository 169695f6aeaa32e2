# SPDX-License-Identifier: Apache-2.0
"""Volumes, claims on them, and the classes and drivers that make them."""

from toono.codec.printers import descriptions as say
from toono.codec.printers.base import (
    AGE_COLUMN,
    NAME_COLUMN,
    Cell,
    Column,
    Printer,
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
    quantity,
    string_map,
    text,
    text_or,
    texts,
)

_UNSET = "<unset>"
_MODES = (
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
)
_CLASS_NOTE = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_NOTES = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)


def _volume(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        quantity(obj, "spec", "capacity", "storage"),
        _modes(obj, "spec"),
        text(obj, "spec", "persistentVolumeReclaimPolicy"),
        _phase(obj),
        _claim_of(obj),
        _class(obj),
        text_or(_UNSET, obj, "spec", "volumeAttributesClassName"),
        text(obj, "status", "reason"),
        age_of(obj, now),
        text_or(_UNSET, obj, "spec", "volumeMode"),
    ]


def _claim(obj: Json, now: float) -> list[Cell]:
    volume = text(obj, "spec", "volumeName")
    return [
        name_of(obj),
        _phase(obj),
        volume,
        quantity(obj, "status", "capacity", "storage") if volume else "",
        _modes(obj, "status") if volume else "",
        _class(obj),
        text_or(_UNSET, obj, "spec", "volumeAttributesClassName"),
        age_of(obj, now),
        text_or(_UNSET, obj, "spec", "volumeMode"),
    ]


def _modes(obj: Json, part: str) -> str:
    found = texts(obj, part, "accessModes")
    return ",".join(short for mode, short in _MODES if mode in found)


def _phase(obj: Json) -> str:
    return "Terminating" if is_deleting(obj) else text(obj, "status", "phase")


def _claim_of(volume: Json) -> str:
    if not isinstance(at(volume, "spec", "claimRef"), dict):
        return ""
    claim = ("spec", "claimRef")
    return f"{text(volume, *claim, 'namespace')}/{text(volume, *claim, 'name')}"


def _class(obj: Json) -> str:
    notes = string_map(obj, "metadata", "annotations")
    return notes.get(_CLASS_NOTE, text(obj, "spec", "storageClassName"))


def _storage_class(obj: Json, now: float) -> list[Cell]:
    notes = string_map(obj, "metadata", "annotations")
    is_default = any(notes.get(key) == "true" for key in _DEFAULT_NOTES)
    return [
        name_of(obj) + (" (default)" if is_default else ""),
        text(obj, "provisioner"),
        text_or("Delete", obj, "reclaimPolicy"),
        text_or("Immediate", obj, "volumeBindingMode"),
        flag(obj, "allowVolumeExpansion"),
        age_of(obj, now),
    ]


def _attachment(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        text(obj, "spec", "attacher"),
        text(obj, "spec", "source", "persistentVolumeName"),
        text(obj, "spec", "nodeName"),
        flag(obj, "status", "attached"),
        age_of(obj, now),
    ]


def _driver(obj: Json, now: float) -> list[Cell]:
    audiences = _UNSET
    if isinstance(at(obj, "spec", "tokenRequests"), list):
        requests = entries(obj, "spec", "tokenRequests")
        audiences = ",".join(text(one, "audience") for one in requests)
    return [
        name_of(obj),
        at(obj, "spec", "attachRequired") is not False,
        flag(obj, "spec", "podInfoOnMount"),
        flag(obj, "spec", "storageCapacity"),
        audiences,
        flag(obj, "spec", "requiresRepublish"),
        ",".join(texts(obj, "spec", "volumeLifecycleModes")) or "<none>",
        age_of(obj, now),
    ]


def _storage_capacity(obj: Json, _now: float) -> list[Cell]:
    capacity = at(obj, "capacity")
    return [
        name_of(obj),
        text(obj, "storageClassName"),
        _UNSET if capacity is None else quantity(capacity),
    ]


VOLUMES = Printer(
    (
        NAME_COLUMN,
        column("Capacity", say.PV_CAPACITY),
        column("Access Modes", say.PV_ACCESS_MODES),
        column("Reclaim Policy", say.PV_RECLAIM_POLICY),
        column("Status", say.PV_PHASE),
        column("Claim", say.PV_CLAIM),
        column("StorageClass", "The class that made it."),
        column("VolumeAttributesClass", "The class of its attributes."),
        column("Reason", say.PV_REASON),
        AGE_COLUMN,
        column("VolumeMode", say.PV_VOLUME_MODE, wide=True),
    ),
    _volume,
)
CLAIMS = Printer(
    (
        NAME_COLUMN,
        column("Status", say.PVC_PHASE),
        column("Volume", say.PVC_VOLUME),
        column("Capacity", say.PVC_CAPACITY),
        column("Access Modes", say.PVC_ACCESS_MODES),
        column("StorageClass", "The class that is to serve it."),
        column("VolumeAttributesClass", "The class of its attributes."),
        AGE_COLUMN,
        column("VolumeMode", say.PVC_VOLUME_MODE, wide=True),
    ),
    _claim,
)
STORAGE_CLASSES = Printer(
    (
        NAME_COLUMN,
        column("Provisioner", "What makes volumes of this class."),
        column("ReclaimPolicy", "What becomes of a volume without its claim."),
        column("VolumeBindingMode", "When a claim gets its volume."),
        column("AllowVolumeExpansion", "Whether volumes can grow."),
        AGE_COLUMN,
    ),
    _storage_class,
)
ATTACHMENTS = Printer(
    (
        NAME_COLUMN,
        Column("Attacher", "string", "name", "The driver that attaches."),
        column("PV", "The volume."),
        column("Node", "The node that it is attached to."),
        column("Attached", "Whether it is.", of_type="boolean"),
        AGE_COLUMN,
    ),
    _attachment,
)
DRIVERS = Printer(
    (
        NAME_COLUMN,
        column("AttachRequired", "Whether volumes are attached.", of_type="boolean"),
        column("PodInfoOnMount", "Whether it is told the pod.", of_type="boolean"),
        column("StorageCapacity", "Whether it tells what is free.", of_type="boolean"),
        column("TokenRequests", "Audiences of tokens that it gets."),
        column("RequiresRepublish", "Whether it is called again.", of_type="boolean"),
        column("Modes", "Kinds of volumes that it makes."),
        AGE_COLUMN,
    ),
    _driver,
)
STORAGE_CAPACITIES = Printer(
    (
        NAME_COLUMN,
        column("StorageClassName", "The class whose free space it tells."),
        column("Capacity", "How much is free."),
    ),
    _storage_capacity,
)
