# SPDX-License-Identifier: Apache-2.0
"""Whatever an object holds, every printer makes a row that a client can read."""

import json
import os
from itertools import chain

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toono.codec.page import Page
from toono.codec.printers.custom import custom_printer
from toono.codec.printers.fallback import FALLBACK
from toono.codec.printers.registry import PRINTERS
from toono.codec.table import Kind, TableForm, join_table, write_columns, write_row

PROVE = int(os.environ.get("TOONO_PROVE", "1"))
CUSTOM = custom_printer(
    {
        "spec": {
            "versions": [
                {
                    "name": "v1",
                    "additionalPrinterColumns": [
                        {"name": "C", "type": kind, "jsonPath": path}
                        for kind in ("string", "integer", "number", "boolean", "date")
                        for path in (".spec", "..type", ".status.conditions[*].status")
                    ],
                }
            ]
        }
    },
    "v1",
)
ALL = (*PRINTERS.values(), FALLBACK, CUSTOM)

# Words that the printers look for, so that values stand where they read them.
KEYS = sorted(
    set(
        chain.from_iterable(
            words.split()
            for words in (
                "metadata spec status name namespace labels creationTimestamp",
                "deletionTimestamp annotations ownerReferences controller type",
                "conditions reason phase containers initContainers restartPolicy",
                "containerStatuses initContainerStatuses state lastState terminated",
                "waiting running started ready restartCount finishedAt exitCode",
                "signal podIP podIPs ip readinessGates conditionType nodeName",
                "template selector matchLabels matchExpressions key operator values",
                "replicas completions parallelism startTime completionTime suspend",
                "jobTemplate active ports port protocol nodePort clusterIPs clusterIP",
                "externalIPs loadBalancer ingress hostname subsets addresses endpoints",
                "rules host tls parameters apiGroup kind capacity storage accessModes",
                "claimRef tokenRequests audience hard used limits.cpu subjects roleRef",
                "involvedObject regarding series count lastObservedTime eventTime",
                "firstTimestamp nodeInfo unschedulable minAvailable maxUnavailable",
                "metrics currentMetrics resource current target averageValue",
                "data binaryData webhooks expirationSeconds certificate image value",
            )
        )
    )
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        ["True", "In", "Exists", "Always", "Ready", "Succeeded", "LoadBalancer"]
    ),
    st.sampled_from(["2026-11-21T00:46:06Z", "0001-01-01T00:00:00Z", "9999-99-99"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
        st.dictionaries(st.text(max_size=3), inner, max_size=2),
    ),
    max_leaves=40,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8)


@settings(max_examples=60 * PROVE, deadline=None)
@given(obj=OBJECTS, now=st.floats(-1e12, 1e12))
@example(obj={}, now=0.0)
@example(obj={"accessModes": {"type": 37082431330377324}}, now=0.0)
@example(obj={"metadata": None, "spec": [], "status": "x"}, now=0.0)
def test_any_object_has_a_row_in_every_kind(obj, now):
    data = json.dumps(obj).encode()
    try:
        msgspec.json.decode(data)
    except msgspec.DecodeError:
        obj = {}
    form = TableForm(include="None")
    for printer in ALL:
        cells = printer.cells(obj, now)
        assert len(cells) == len(printer.columns)
        row = write_row(data, printer, of=Kind("K", "v1"), form=form, now=now)
        for told, cell in zip(json.loads(row)["cells"], cells, strict=True):
            # As Go writes it, a large float looks like a whole number near it.
            assert (float(told) if isinstance(cell, float) else told) == cell


@settings(max_examples=100 * PROVE, deadline=None)
@given(
    data=st.binary(max_size=60) | OBJECTS.map(lambda one: json.dumps(one).encode()),
    style=st.sampled_from(["typed", "unstructured"]),
    include=st.sampled_from(["None", "Metadata", "Object"]),
    version=st.sampled_from(["v1", "v1beta1"]),
)
@example(data=b"{}", style="typed", include="Object", version="v1")
@example(data=b' {"a":1}', style="unstructured", include="Object", version="v1")
@example(data=b"[" * 5000, style="typed", include="Metadata", version="v1")
@example(
    data=b'{"metadata":{"name":"\xff"}}', style="typed", include="Object", version="v1"
)
def test_any_bytes_have_a_row(data, style, include, version):
    form = TableForm(version, include)
    of = Kind("K", "v1", style)
    rows = [write_row(data, FALLBACK, of=of, form=form, now=0.0)]
    pieces = join_table(
        rows, Page("1"), columns=write_columns(FALLBACK.columns), version=version
    )
    assert len(json.loads(b"".join(pieces))["rows"]) == 1
