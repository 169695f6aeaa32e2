# SPDX-License-Identifier: Apache-2.0
"""Who asked through this hub and was not kept: what an operator may want to add."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from toono.cache.policy import NEVER, Policy
from toono.kube.request import Call

_READS = frozenset({"get", "list", "watch"})
_NOT_ASKED = NEVER | {""}
MAX_COMPONENTS = 256
MAX_RESOURCES = 32


@dataclass(slots=True)
class Asker:
    """A component whose answers are passed on and forgotten."""

    requests: int = 0
    last_at: float = 0.0
    own_token: bool = False
    """It brought a token of its own."""
    resources: set[str] = field(default_factory=set)


class Asked:
    """Counts questions of components that no rule keeps; the longest silent go first."""

    def __init__(self) -> None:
        self._askers: OrderedDict[str, Asker] = OrderedDict()

    def note(self, call: Call, policy: Policy, *, now: float) -> None:
        """Count one call that the API server answered."""
        if not _counts(call, policy):
            return
        asker = self._askers.get(call.component)
        if asker is None:
            asker = self._askers[call.component] = Asker()
            if len(self._askers) > MAX_COMPONENTS:
                self._askers.popitem(last=False)
        else:
            self._askers.move_to_end(call.component)
        asker.requests += 1
        asker.last_at = now
        asker.own_token = asker.own_token or bool(call.caller.token)
        if len(asker.resources) < MAX_RESOURCES:
            group = f".{call.group}" if call.group else ""
            asker.resources.add(f"{call.resource}{group}")

    def place(self, call: Call, policy: Policy) -> Asker | None:
        """Return where calls are counted that are like one that was noted."""
        if not _counts(call, policy):
            return None
        return self._askers.get(call.component)

    def not_kept(self, policy: Policy) -> list[Mapping[str, object]]:
        """Return those that are not kept by now either, busiest first."""
        found = [
            (name, asker)
            for name, asker in self._askers.items()
            if not policy.names(name) and not policy.keeps_everyone
        ]
        found.sort(key=lambda one: (-one[1].requests, one[0]))
        return [
            {
                "component": name,
                "requests": asker.requests,
                "lastSeen": asker.last_at,
                "ownToken": asker.own_token,
                "resources": sorted(asker.resources),
            }
            for name, asker in found
        ]


def _counts(call: Call, policy: Policy) -> bool:
    return not (
        policy.admits(call)
        or call.component == ""
        or call.resource in _NOT_ASKED
        or call.verb not in _READS
    )
