# SPDX-License-Identifier: Apache-2.0
"""Which filters an answer goes through: by component, verb and resource, in one order.

The defaults are YurtHub's; the ConfigMap adds components to a filter and takes none
away. The order is fixed: what names the hub first, what drops objects last.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from toono.kube.request import Call


class Default(NamedTuple):
    """What a filter applies to, without anybody saying so."""

    components: frozenset[str]
    resources: frozenset[str]
    verbs: frozenset[str]


_LISTED = frozenset({"list", "watch"})
_READ = _LISTED | {"get"}


def _default(components: str, resources: str, verbs: frozenset[str]) -> Default:
    return Default(frozenset(components.split()), frozenset(resources.split()), verbs)


DEFAULTS: Mapping[str, Default] = {
    "masterservice": _default("kubelet", "services", _LISTED),
    "serviceenvupdater": _default("kubelet", "pods", _READ | {"patch"}),
    "inclusterconfig": _default("kubelet", "configmaps", _READ),
    "forwardkubesvctraffic": _default("kube-proxy", "endpointslices", _LISTED),
    "discardcloudservice": _default("kube-proxy", "services", _LISTED),
    "nodeportisolation": _default("kube-proxy", "services", _LISTED),
    "servicetopology": _default(
        "kube-proxy coredns nginx-ingress-controller",
        "endpoints endpointslices",
        _LISTED,
    ),
}
"""In the order in which they are applied."""
OF_THE_DOOR = frozenset(
    {"masterservice", "serviceenvupdater", "inclusterconfig", "forwardkubesvctraffic"}
)
"""They send pods to the hub: without a door for pods they would send them nowhere."""
SUBRESOURCES = ("", "status")
"""What answers with the object itself."""
ALL = "*"
_NEVER = ("yurthub", "toono")
_MULTIPLEXER = "multiplexer-proxy-"


@dataclass(frozen=True, slots=True)
class Approval:
    """Which filters are on, and for whom beside their defaults."""

    off: frozenset[str] = frozenset()
    added: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By filter, the components that the ConfigMap names."""
    _known: dict[tuple[str, str, str], tuple[str, ...]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    """By component, verb and resource: nothing is looked through for a request."""

    def __post_init__(self) -> None:
        for name, default in DEFAULTS.items():
            if name in self.off:
                continue
            for component in default.components | self.added.get(name, frozenset()):
                if component in _NEVER or component.startswith(_MULTIPLEXER):
                    continue
                for resource in default.resources:
                    for verb in default.verbs:
                        key = (component, verb, resource)
                        self._known[key] = (*self._known.get(key, ()), name)

    def find(self, call: Call) -> tuple[str, ...]:
        """Return the filters of a call, in order; () for almost all calls."""
        found = self._known.get((call.component, call.verb, call.resource), ())
        return found if found and call.subresource in SUBRESOURCES else ()


def switched_off(
    disabled: Collection[str], *, enabled: bool, door: bool
) -> frozenset[str]:
    """Return the filters that the options leave out."""
    every = frozenset(DEFAULTS)
    if not enabled or ALL in disabled:
        return every
    off = frozenset(disabled) & every
    return off if door else off | OF_THE_DOOR
