# SPDX-License-Identifier: Apache-2.0
"""The world behind the exchanges, taken from what the recorded server told of it."""

import json
from collections.abc import Iterator
from typing import Any

from tests.conformance.exchanges import Exchange, read

Object = dict[str, Any]

LISTS = (
    ("services", "list-services-json"),
    ("pods", "list-pods-json"),
    ("endpointslices", "list-endpointslices-json"),
    ("leases", "list-leases-json"),
    ("crontabs", "list-crontabs-json"),
)
SINGLES = (
    ("nodes", "get-node-json"),
    ("configmaps", "get-kube-proxy-configmap"),
)


def told() -> list[tuple[str, Object]]:
    """Return (resource, object) of all that was there, in the order it was made."""
    exchanges = {each.name: each for each in read()}
    found = [*_told(exchanges)]
    return sorted(found, key=lambda one: int(one[1]["metadata"]["resourceVersion"]))


def _told(exchanges: dict[str, Exchange]) -> Iterator[tuple[str, Object]]:
    for plural, name in LISTS:
        document = json.loads(exchanges[name].answer.body)
        head = {
            "kind": document["kind"].removesuffix("List"),
            "apiVersion": document["apiVersion"],
        }
        for item in document["items"]:
            yield plural, head | item
    for plural, name in SINGLES:
        yield plural, json.loads(exchanges[name].answer.body)
    first = exchanges["watch-single-name"].answer.body.split(b"\n")[0]
    yield "configmaps", json.loads(first)["object"]
    token = json.loads(exchanges["create-token"].answer.body)["metadata"]
    account = {key: token[key] for key in ("name", "namespace", "uid")}
    made = {"resourceVersion": "232", "creationTimestamp": token["creationTimestamp"]}
    yield (
        "serviceaccounts",
        {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": account | made},
    )
