# SPDX-License-Identifier: Apache-2.0
"""Questions beyond the recordings, in one conversation, with a real server's answers.

`further.json` holds what a kube-apiserver 1.34 answered. To ask one again:
`KUBEBUILDER_ASSETS=... python -m tests.conformance.further`.
"""

import asyncio
import json
import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.conformance.conversation import Server, send
from tests.conformance.exchanges import Answer, Exchange
from tests.conformance.rules import OWNERSHIP, normalised
from toono.testing.real import assets

ANSWERS = Path(__file__).with_name("further.json")
PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
NODE = "/api/v1/nodes/n1"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIALS = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


RECORDED_AT = re.compile(rb"(?<=ResourceVersion in record )\(\d+\)")


class Question(NamedTuple):
    """One request."""

    method: str
    target: str
    content: Any = None
    media: str = "application/json"
    accept: str = "application/json"


def _pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i"}]
    return {"metadata": {"name": name}, "spec": {"containers": containers, **spec}}


def _map(name: str, **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **meta}}


def _by(*operations: tuple[str, ...]) -> list[dict[str, Any]]:
    keys = ("op", "path", "value")
    return [dict(zip(keys, each, strict=False)) for each in operations]


DELETES = (
    Question("POST", PODS, _pod("p", nodeName="n"), accept=PARTIAL),
    Question("DELETE", PODS + "/p", {"preconditions": {"uid": "other"}}),
    Question("DELETE", PODS + "/p", {"preconditions": {"resourceVersion": "1"}}),
    Question("DELETE", PODS + "/p?dryRun=All", accept=PARTIAL),
    Question("DELETE", PODS + "/p", accept=PARTIAL),
    Question("DELETE", PODS + "/p?gracePeriodSeconds=10", accept=PARTIAL),
    Question("DELETE", PODS + "/p?gracePeriodSeconds=50", accept=PARTIAL),
    Question("DELETE", PODS + "/p", {"gracePeriodSeconds": 0}, accept=PARTIAL),
    Question("GET", PODS + "/p"),
    Question("POST", PODS, _pod("q"), accept=PARTIAL),
    Question("DELETE", PODS + "/q", accept=PARTIAL),
    Question("GET", PODS + "/q"),
    Question("POST", MAPS, _map("f", finalizers=["x.y/z"])),
    Question("DELETE", MAPS + "/f"),
    Question("DELETE", MAPS + "/f"),
    Question("PATCH", MAPS + "/f", {"metadata": {"finalizers": None}}, MERGE),
    Question("GET", MAPS + "/f"),
    Question("POST", MAPS, _map("d1", labels={"of": "d"})),
    Question("POST", MAPS, _map("d2", labels={"of": "d"})),
    Question("POST", MAPS, _map("d3", labels={"of": "e"})),
    Question("DELETE", MAPS + "?labelSelector=of%3Dd&dryRun=All"),
    Question("DELETE", MAPS + "?labelSelector=of%3Dd&limit=1"),
    Question("DELETE", MAPS + "?labelSelector=of%3Dd"),
    Question("GET", MAPS + "?labelSelector=of"),
    Question("DELETE", MAPS + "/d3?dryRun=All"),
    Question("DELETE", MAPS + "/d3"),
    Question("DELETE", MAPS + "/nope"),
    Question("POST", PODS + "/nope/eviction", {"kind": "Eviction", "apiVersion": "policy/v1"}),
)  # fmt: skip
WRITES = (
    Question("POST", MAPS, {"metadata": {}}),
    Question("POST", MAPS, {"metadata": {"name": "z", "namespace": "other"}}),
    Question("POST", MAPS, {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "z"}}),
    Question("POST", MAPS, {"kind": "ConfigMap", "apiVersion": "v2"}),
    Question("POST", MAPS, b"{x"),
    Question("POST", MAPS, _map("b", annotations={"a": "<&>"})),
    Question("PUT", MAPS + "/b", _map("other")),
    Question("PUT", MAPS + "/nope", _map("nope")),
    Question("PUT", MAPS + "/b", _map("b", resourceVersion="1")),
    Question("PUT", MAPS + "/b", {**_map("b"), "data": {"k": "v"}}),
    Question("PUT", MAPS + "/b?dryRun=All", {**_map("b"), "data": {"k": "w"}}),
    Question("GET", MAPS + "/b"),
    Question("PATCH", MAPS + "/b?dryRun=All", {"data": {"k": "w"}}, MERGE),
    Question("PATCH", MAPS + "/b", {"data": {"k": None}}, MERGE),
    Question("PATCH", MAPS + "/b", {"metadata": {"resourceVersion": "1"}}, MERGE),
    Question("PATCH", MAPS + "/nope", {"data": {}}, MERGE),
    Question("PATCH", MAPS + "/b", b"{x", MERGE),
    Question("PATCH", MAPS + "/b", _by(("add", "/metadata/annotations", {"a": "1", "b/d": "2"})), JSON_PATCH),
    Question("PATCH", MAPS + "/b", _by(("replace", "/metadata/annotations/b~1d", "3")), JSON_PATCH),
    Question("PATCH", MAPS + "/b", _by(("test", "/metadata/annotations/a", "1"), ("remove", "/metadata/annotations/a")), JSON_PATCH),
    Question("PATCH", MAPS + "/b", _by(("test", "/data/x", "1")), JSON_PATCH),
    Question("PATCH", MAPS + "/b", _by(("remove", "/data/x")), JSON_PATCH),
    Question("PATCH", MAPS + "/b", _by(("replace", "/data/x", "1")), JSON_PATCH),
    Question("PATCH", MAPS + "/b", {}, APPLY),
    Question("PATCH", MAPS + "/b?fieldManager=me", {"apiVersion": "v1", "kind": "ConfigMap", "data": {"q": "1"}}, APPLY),
    Question("PUT", LEASES + "/l", _map("l")),
    Question("PUT", LEASES + "/l", {**_map("l"), "spec": {"holderIdentity": "x"}}),
    Question("PUT", MAPS, {}),
    Question("POST", MAPS + "/b", {}),
    Question("DELETE", LEASES + "/l"),
)  # fmt: skip
NODE_SPEC = {
    "podCIDR": "10.0.0.0/24",
    "podCIDRs": ["10.0.0.0/24"],
    "taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}],
}
CONDITIONS = [
    {"type": "Ready", "status": "True"},
    {"type": "DiskPressure", "status": "False"},
]
STRATEGIES = (
    Question("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}, "spec": NODE_SPEC}, accept=PARTIAL),
    Question("PATCH", NODE + "/status", {"status": {"conditions": [{"type": "B", "status": "True"}]}}, STRATEGIC),
    Question("PATCH", NODE + "/status", {"status": {"conditions": CONDITIONS}}, STRATEGIC),
    Question("PATCH", NODE + "/status", {"status": {
        "$setElementOrder/conditions": [{"type": "DiskPressure"}, {"type": "Ready"}],
        "conditions": [{"type": "Ready", "status": "Unknown", "reason": "Gone"}],
    }}, STRATEGIC),
    Question("PATCH", NODE + "/status", {"status": {"conditions": [{"type": "DiskPressure", "$patch": "delete"}]}}, STRATEGIC),
    Question("PATCH", NODE + "/status", {"status": {"addresses": [{"type": "InternalIP", "address": "10.1.1.1"}]}}, STRATEGIC),
    Question("PATCH", NODE + "/status", {"spec": {"unschedulable": True}, "metadata": {"labels": {"a": "b"}}}, STRATEGIC),
    Question("PATCH", NODE + "/status", {"status": {
        "$setElementOrder/conditions": [{"type": "New"}, {"type": "B"}],
        "conditions": [{"type": "New", "status": "True"}],
    }}, STRATEGIC),
    Question("PATCH", NODE + "/status", {"status": {"conditions": [{"type": "B", "status": "False"}, {"type": "Z", "status": "True"}]}}, STRATEGIC),
    Question("PATCH", NODE, {"status": {"phase": "Running"}}, MERGE),
    Question("GET", NODE + "/status"),
    Question("POST", MAPS, _map("s", finalizers=["x.y/a", "x.y/b"])),
    Question("PATCH", MAPS + "/s", {"metadata": {"finalizers": ["x.y/c"]}}, STRATEGIC),
    Question("PATCH", MAPS + "/s", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x.y/a"]}}, STRATEGIC),
    Question("PATCH", MAPS + "/s", {"metadata": {"labels": {"a": "1", "b": "2"}}}, STRATEGIC),
    Question("PATCH", MAPS + "/s", {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}, STRATEGIC),
    Question("PATCH", MAPS + "/s", {"metadata": {"labels": {"$retainKeys": ["d"], "d": "4"}}}, STRATEGIC),
    Question("PATCH", MAPS + "/s", {"metadata": {"labels": None, "$deleteFromPrimitiveList/finalizers": ["x.y/b", "x.y/c"]}}, STRATEGIC),
)  # fmt: skip
READS = (
    *(
        Question("GET", f"{PODS}?{options}")
        for options in (
            "sendInitialEvents=true",
            "resourceVersionMatch=Exact&resourceVersion=0",
            "resourceVersionMatch=Foo&resourceVersion=1",
            "watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1",
            "watch=1&sendInitialEvents=true&resourceVersionMatch=Exact",
            "watch=1&sendInitialEvents=true",
            "continue=abc&resourceVersionMatch=Exact",
            "continue=abc&resourceVersion=5",
            "labelSelector=a%3E1x",
            "labelSelector=%3Da",
            "limit=x",
            "limit=-1",
            "timeoutSeconds=x&watch=1",
            "fieldSelector=a",
            "fieldSelector=spec.x%3Dy",
        )
    ),
    Question("GET", MAPS + "?fieldSelector=x%3Dy"),
    Question("GET", MAPS + "/b", accept=PARTIALS),
    Question("GET", MAPS, accept=PARTIAL),
    Question("GET", MAPS + "?labelSelector=none", accept=PARTIALS + ",application/json"),
    Question("GET", "/apis/apps/v2/deployments"),
    Question("GET", "/api/v2/pods"),
    Question("GET", "/apis/apps/v1/nope"),
    Question("GET", "/apis/nope.example.com/v1/nopes"),
    Question("GET", PODS + "/p/nope"),
    Question("GET", MAPS + "/b/status"),
    Question("GET", PODS + "?watch=1&resourceVersion=0&timeoutSeconds=1&fieldSelector=metadata.name%3Dnobody"),
)  # fmt: skip
QUESTIONS = (*DELETES, *WRITES, *STRATEGIES, *READS)


async def ask_all(server: Server) -> list[Answer]:
    """Ask every question, in order."""
    return [await _ask(server, each) for each in QUESTIONS]


async def _ask(server: Server, question: Question) -> Answer:
    return await send(
        server,
        question.method,
        question.target,
        question.content,
        media=question.media,
        accept=question.accept,
    )


def told(question: Question, answer: Answer) -> dict[str, Any]:
    """Return what an answer told, with what differs by nature put aside."""
    exchange = Exchange(
        name="",
        note="",
        head=f"{question.method} {question.target} HTTP/1.1".encode(),
        body=b"",
        answer=answer,
    )
    body = OWNERSHIP.sub(b"", normalised(exchange, answer.body))
    return {
        "question": f"{question.method} {question.target} {json.dumps(question.content, default=str)}",
        "status": answer.status,
        "type": answer.fields.get("content-type", ""),
        "retry": answer.fields.get("retry-after", ""),
        "body": RECORDED_AT.sub(b"(<version>)", body).decode(),
    }


async def _record() -> None:
    from tests.conformance.original import Original

    programs = assets()
    assert isinstance(programs, Path), programs
    with tempfile.TemporaryDirectory() as directory:
        async with Original(programs, Path(directory)) as server:
            answers = await ask_all(server)
    rows = [told(*pair) for pair in zip(QUESTIONS, answers, strict=True)]
    ANSWERS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(_record())
