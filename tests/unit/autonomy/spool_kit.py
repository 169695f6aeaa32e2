# SPDX-License-Identifier: Apache-2.0
"""Writes to spool, for tests."""

import json

import msgspec

from toono.autonomy.spool import Entry, Spool
from toono.autonomy.spooled import Target, Write


def event(name: str, *, at: float = 1.0, owner: str = "", **more) -> Write:
    values = {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop"},
        "involvedObject": {
            "kind": "Pod",
            "namespace": "shop",
            "name": "web",
            "uid": "u",
        },
        "reason": "Started",
        "firstTimestamp": "2026-11-21T01:00:00Z",
        "count": 1,
    }
    return Write(
        kind="event",
        method="POST",
        path="/api/v1/namespaces/shop/events",
        content_type="application/json",
        user_agent="kubelet/v1.34",
        target=Target("", "events", "shop", name),
        body=json.dumps(values | more).encode(),
        at=at,
        owner=owner,
    )


def event_patch(name: str, count: int) -> Write:
    return msgspec.structs.replace(
        event(name),
        method="PATCH",
        path=f"/api/v1/namespaces/shop/events/{name}",
        content_type="application/strategic-merge-patch+json",
        body=json.dumps({"count": count}).encode(),
    )


def pod_status(name: str, phase: str = "Running") -> Write:
    return msgspec.structs.replace(
        event(name),
        kind="status",
        method="PATCH",
        path=f"/api/v1/namespaces/shop/pods/{name}/status",
        content_type="application/strategic-merge-patch+json",
        target=Target("", "pods", "shop", name),
        body=json.dumps({"status": {"phase": phase}}).encode(),
    )


async def put(spool: Spool, write: Write, *, replaces=()) -> Entry:
    return await spool.put(spool.reserve(), write, replaces=replaces)


def names(spool: Spool) -> list[str]:
    return [entry.target.name for entry in spool.entries()]
