# SPDX-License-Identifier: Apache-2.0
"""A list of this node's pods that suddenly lacks most of them is asked about again.

A kubelet kills what its list does not name. An API server whose cache is not filled,
or a proxy that answers for it, can send an empty list with 200; so what takes away
half of the pods or more passes only once a second, consistent read says the same.
Until then the client hears an error, or the end of its watch, and keeps its pods.
"""

import logging
from collections.abc import Collection

from toono.autonomy.cloud import Cloud
from toono.codec.registry import for_media_type
from toono.errors import CodecError, UpstreamError
from toono.kube.names import parse_version
from toono.kube.request import Call

log = logging.getLogger(__name__)

ACCEPT = (
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)
Names = Collection[tuple[str, str]]
"""(namespace, name)"""


def sudden_loss(known: Names, told: Names) -> frozenset[tuple[str, str]]:
    """Return what a list lacks of what was known, if that is half of it or more."""
    lost = frozenset(known) - frozenset(told)
    return lost if len(lost) * 2 >= len(known) else frozenset()


class PodGuard:
    """Confirms losses of this node's pods; counts what it has held back."""

    def __init__(self, cloud: Cloud, node_name: str) -> None:
        self._cloud = cloud
        self._selector = f"spec.nodeName={node_name}"
        self.confirmed = 0
        self.refused = 0
        self.problem = ""
        """What was not confirmed last; empty once a list passes again."""

    def concerns(self, call: Call) -> bool:
        """Say whether the answer to a call is the set of this node's pods."""
        return (
            call.resource == "pods"
            and call.group == ""
            and call.namespace == ""
            and call.verb in ("list", "watch")
            and self._selector in call.field_selector.split(",")
        )

    async def confirms(self, call: Call, lost: Names) -> bool:
        """Say whether a second, consistent read lacks all of `lost`, too."""
        if not lost:
            self.problem = ""
            return True
        facts = {"component": call.component, "pods": len(lost)}
        why = await self._contradicted(call, frozenset(lost))
        if why:
            self.refused += 1
            self.problem = f"a list without {len(lost)} pods was held back: {why}"
            log.warning("a pod list is held back", extra={**facts, "why": why})
            return False
        self.confirmed += 1
        self.problem = ""
        log.info("a second read confirms that pods are gone", extra=facts)
        return True

    async def _contradicted(self, call: Call, lost: frozenset[tuple[str, str]]) -> str:
        """Ask again; return why the loss is not believed, "" where it is."""
        target = f"{call.path}?fieldSelector={self._selector.replace('=', '%3D')}"
        codec = for_media_type("application/json")
        assert codec is not None
        try:
            told = await self._cloud.ask("GET", target, accept=ACCEPT)
            if told.status != 200:
                return f"the second read was answered with {told.status}"
            parts = codec.split_list(told.content)
        except (UpstreamError, CodecError) as exc:
            return f"the second read failed: {exc}"
        if not parts.kind.endswith("List") or not parse_version(parts.resource_version):
            return "the second read was answered with no list"
        if parts.continue_token:
            return "the second read was answered with a part"
        there = {(item.namespace, item.name) for item in parts.items}
        return f"{len(there & lost)} of them are there" if there & lost else ""
