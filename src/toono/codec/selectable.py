# SPDX-License-Identifier: Apache-2.0
"""Which fields a selector may name, and where an object holds their value.

Each built-in kind has its own list in the API server (ToSelectableFields), with
aliases and with defaults that differ from "": what is not listed here nobody guesses.
Custom resources select by the JSON paths that their definition names.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from toono.errors import CodecError
from toono.kube.kinds import resource_of


class Selectable(NamedTuple):
    """Where the value of a selectable field stands."""

    paths: tuple[str, ...]
    """In the object's JSON; the first that is not empty counts."""
    default: str = ""
    """Where all are unset."""


def selectable(path: str, *, kind: str, api_version: str) -> Selectable:
    """Return where a field's value is; CodecError where no such selector is known."""
    if path in _METADATA:
        return Selectable((path,))
    group = api_version.rpartition("/")[0]
    if resource_of(group, kind) is None:
        if _CUSTOM_PATH.match(path):
            return Selectable((path,))
    elif found := SELECTABLE.get((group, kind), {}).get(path):
        return found
    raise CodecError(f"{path!r} is no known field selector of {api_version} {kind}")


class _Path(msgspec.Struct, rename="camel"):
    json_path: str


class _Version(msgspec.Struct, rename="camel"):
    name: str
    selectable_fields: list[_Path] = []


class _Spec(msgspec.Struct):
    versions: list[_Version] = []


class _Definition(msgspec.Struct):
    spec: _Spec


_definition = msgspec.json.Decoder(_Definition).decode


def custom_fields(definition: bytes, version: str) -> frozenset[str]:
    """Return the fields that a CustomResourceDefinition (JSON) lets be selected by.

    CodecError where it is none (KEP-4358: `selectableFields` of each version).
    """
    try:
        versions = _definition(definition).spec.versions
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CodecError(f"no definition: {exc}") from exc
    return frozenset(
        field.json_path.removeprefix(".")
        for one in versions
        if one.name == version
        for field in one.selectable_fields
    )


_METADATA = frozenset({"metadata.name", "metadata.namespace"})
_CUSTOM_PATH = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,7}\Z")


def _same(*paths: str) -> dict[str, Selectable]:
    return {path: Selectable((path,)) for path in paths}


_REFERENCE = (
    "apiVersion",
    "fieldPath",
    "kind",
    "name",
    "namespace",
    "resourceVersion",
    "uid",
)

SELECTABLE: Mapping[tuple[str, str], Mapping[str, Selectable]] = {
    ("", "Event"): {
        **_same(*(f"involvedObject.{name}" for name in _REFERENCE)),
        **_same("reason", "reportingComponent", "type"),
        "source": Selectable(("source.component", "reportingComponent")),
    },
    ("", "Namespace"): _same("status.phase"),
    ("", "Node"): {
        "spec.unschedulable": Selectable(("spec.unschedulable",), "false"),
    },
    ("", "Pod"): {
        **_same(
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
        ),
        "spec.host": Selectable(("spec.nodeName",)),
        "spec.hostNetwork": Selectable(("spec.hostNetwork",), "false"),
    },
    ("", "ReplicationController"): {
        "status.replicas": Selectable(("status.replicas",), "0"),
    },
    ("", "Secret"): _same("type"),
    ("", "Service"): _same("spec.clusterIP", "spec.type"),
    ("apps", "ReplicaSet"): {
        "status.replicas": Selectable(("status.replicas",), "0"),
    },
    ("batch", "Job"): {
        "status.successful": Selectable(("status.succeeded",), "0"),
    },
    ("certificates.k8s.io", "CertificateSigningRequest"): _same("spec.signerName"),
    ("certificates.k8s.io", "ClusterTrustBundle"): _same("spec.signerName"),
    ("events.k8s.io", "Event"): {
        **_same(*(f"regarding.{name}" for name in _REFERENCE)),
        **_same("reason", "reportingController", "type"),
        "source": Selectable(("deprecatedSource.component", "reportingController")),
    },
    ("resource.k8s.io", "ResourceSlice"): _same("spec.driver", "spec.nodeName"),
}
