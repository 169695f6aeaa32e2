# SPDX-License-Identifier: Apache-2.0
"""Tables computed from recorded full objects equal the API server's own.

The recordings were made within one second each, so the ages agree for the `now` that
the recorded ages name; they are compared byte for byte.
"""

import json

import pytest
from tests.contract.recordings import connections, recording

from toono.codec.json import JSONCodec
from toono.codec.page import Page
from toono.codec.printers import descriptions
from toono.codec.printers.ages import parse_time
from toono.codec.printers.registry import printer_of
from toono.codec.table import (
    Kind,
    TableForm,
    join_table,
    write_columns,
    write_row,
    write_table_bookmark,
    write_table_event,
)

CODEC = JSONCodec()


def seconds(text: str) -> float:
    found = parse_time(text)
    assert found is not None
    return found


CREATED = seconds("2026-11-21T00:46:06Z")


def table(
    full: str, *, form: TableForm, now: float, namespace: str = "", version: str = ""
) -> bytes:
    parts = CODEC.split_list(recording(full).body)
    of = Kind(parts.kind.removesuffix("List"), parts.api_version, parts.style)
    (crd,) = CODEC.split_list(recording("list-crds-json").body).items
    printer = printer_of(of.kind, of.api_version, definition=crd.data)
    rows = [
        write_row(one.data, printer, of=of, form=form, now=now)
        for one in parts.items
        if namespace in ("", one.namespace)
    ]
    pieces = join_table(
        rows,
        Page(version or parts.resource_version),
        columns=write_columns(printer.columns),
        version=form.version,
    )
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("full", "recorded", "age"),
    [
        ("list-pods-json", "list-pods-table", 4),
        ("list-crds-json", "list-crds-table", 7),
        ("list-services-json", "list-services-table", 7),
        ("list-endpointslices-json", "list-endpointslices-table", 7),
        ("list-leases-json", "list-leases-table", 7),
        ("list-crontabs-json", "list-crontabs-table", 7),
    ],
)
def test_list_equals_the_recorded_table(full, recorded, age):
    assert table(full, form=TableForm(), now=CREATED + age) == recording(recorded).body


@pytest.mark.parametrize("include", ["None", "Object"])
def test_what_of_the_object_is_included_equals_the_recorded_table(include):
    body = recording(f"list-pods-table-{include.lower()}").body
    form = TableForm(include=include)
    ours = table(
        "list-pods-json", form=form, now=CREATED + 4, namespace="default", version="239"
    )
    assert ours == body


def test_get_equals_the_recorded_table():
    single = CODEC.read_single(recording("get-pod-json").body)
    of = Kind(single.kind, single.api_version, single.style)
    printer = printer_of(of.kind, of.api_version)
    row = write_row(
        single.object.data, printer, of=of, form=TableForm(), now=CREATED + 7
    )
    pieces = join_table(
        [row],
        Page(single.object.resource_version),
        columns=write_columns(printer.columns),
        version="v1",
    )
    assert b"".join(pieces) == recording("get-pod-table").body


def test_watch_equals_the_recorded_one():
    """The pod differs from that of the recorded watch of objects in metadata alone."""
    objects = CODEC.frames().feed(recording("watch-pods-json").body)
    frames = CODEC.frames().feed(recording("watch-pods-table").body)
    of, printer = Kind("Pod", "v1"), printer_of("Pod", "v1")
    columns = write_columns(printer.columns)
    assert len(frames) >= 5
    for frame in frames:
        event = json.loads(frame)
        version = event["object"]["metadata"]["resourceVersion"]
        if event["type"] == "BOOKMARK":
            ours = write_table_bookmark(
                version,
                printer,
                initial_events_end=False,
                columns=columns,
                of=of,
                form=TableForm(),
                now=0,
            )
        else:
            meta = event["object"]["rows"][0]["object"]["metadata"]
            pod = json.loads(objects.pop(0))["object"]
            data = json.dumps({**pod, "metadata": meta}, separators=(",", ":")).encode()
            now = seconds(meta["creationTimestamp"])
            row = write_row(data, printer, of=of, form=TableForm(), now=now)
            ours = write_table_event(
                row,
                event_type=event["type"],
                resource_version=version,
                columns=columns,
                version="v1",
            )
        assert ours == frame
        columns = None


def test_empty_table_of_a_kind_without_columns_equals_the_recorded_one():
    name = "kubectl-kubectl-get-crd-001-2"
    body = next(one.body for one in connections() if one.name == name)
    version = json.loads(body)["metadata"]["resourceVersion"]
    printer = printer_of("CustomResourceDefinition", "apiextensions.k8s.io/v1")
    pieces = join_table(
        [],
        Page(version),
        columns=write_columns(printer.columns),
        version="v1",
        no_rows=printer.no_rows,
    )
    assert b"".join(pieces) == body


DOCUMENTED = {
    "v1.ConfigMap": {"CONFIG_MAP_DATA": "data"},
    "v1.Endpoints": {"ENDPOINTS_SUBSETS": "subsets"},
    "v1.Event": {
        "EVENT_COUNT": "count",
        "EVENT_FIRST": "firstTimestamp",
        "EVENT_LAST": "lastTimestamp",
        "EVENT_MESSAGE": "message",
        "EVENT_OBJECT": "involvedObject",
        "EVENT_REASON": "reason",
        "EVENT_SOURCE": "source",
        "EVENT_TYPE": "type",
    },
    "v1.NodeStatus": {"NODE_ADDRESSES": "addresses"},
    "v1.NodeSystemInfo": {
        "NODE_KERNEL_VERSION": "kernelVersion",
        "NODE_KUBELET_VERSION": "kubeletVersion",
        "NODE_OS_IMAGE": "osImage",
        "NODE_RUNTIME_VERSION": "containerRuntimeVersion",
    },
    "v1.ObjectReference": {"EVENT_SUBOBJECT": "fieldPath"},
    "v1.PersistentVolumeClaimSpec": {
        "PVC_VOLUME": "volumeName",
        "PVC_VOLUME_MODE": "volumeMode",
    },
    "v1.PersistentVolumeClaimStatus": {
        "PVC_ACCESS_MODES": "accessModes",
        "PVC_CAPACITY": "capacity",
        "PVC_PHASE": "phase",
    },
    "v1.PersistentVolumeSpec": {
        "PV_ACCESS_MODES": "accessModes",
        "PV_CAPACITY": "capacity",
        "PV_CLAIM": "claimRef",
        "PV_RECLAIM_POLICY": "persistentVolumeReclaimPolicy",
        "PV_VOLUME_MODE": "volumeMode",
    },
    "v1.PersistentVolumeStatus": {"PV_PHASE": "phase", "PV_REASON": "reason"},
    "v1.PodSpec": {"POD_NODE_SELECTOR": "nodeSelector"},
    "v1.ReplicationControllerSpec": {
        "RC_DESIRED": "replicas",
        "RC_SELECTOR": "selector",
    },
    "v1.ReplicationControllerStatus": {
        "RC_CURRENT": "replicas",
        "RC_READY": "readyReplicas",
    },
    "v1.Secret": {"SECRET_DATA": "data", "SECRET_TYPE": "type"},
    "v1.ServiceAccount": {"SERVICE_ACCOUNT_SECRETS": "secrets"},
}


def test_columns_of_the_core_group_say_what_the_recorded_schema_says():
    """Columns quote the Go comments, which end before what the schema adds of enums."""
    name = "kubectl-kubectl-apply-001-1"
    body = next(one.body for one in connections() if one.name == name)
    schemas = json.loads(body)["components"]["schemas"]
    for kind, fields in DOCUMENTED.items():
        properties = schemas[f"io.k8s.api.core.{kind}"]["properties"]
        for constant, field in fields.items():
            said, _, _ = properties[field]["description"].partition("\n\nPossible enum")
            assert getattr(descriptions, constant) == said
