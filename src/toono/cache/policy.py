# SPDX-License-Identifier: Apache-2.0
"""Who may be cached, and what: a pure decision over one call."""

from dataclasses import dataclass

from toono.cache.forms import PARTIAL, TABLE
from toono.kube.request import Call

DEFAULT_AGENTS = frozenset(
    {
        "kubelet",
        "kube-proxy",
        "flanneld",
        "coredns",
        "raven-agent-ds",
        "yurttunnel-agent",
        "yurthub",
        "kubectl",
    }
)
"""YurtHub's default agents (`multiplexer-proxy-<node>` is added with the node), and
kubectl: who looks at a node that is cut off should see what was seen before."""

FORMS = ("", PARTIAL, PARTIAL + "List")
VERBS = frozenset({"get", "list", "watch", "create", "update", "patch", "delete"})

NEVER = frozenset(
    {
        "certificatesigningrequests",
        "subjectaccessreviews",
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
        "localsubjectaccessreviews",
        "selfsubjectreviews",
        "tokenreviews",
    }
)
"""Answers about a moment or a caller: kept, they would be somebody else's."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which components are cached; `*` is every one that says who it is."""

    agents: frozenset[str]

    @classmethod
    def of(cls, *extra: str) -> "Policy":
        """Return the policy of YurtHub's defaults and `extra` names (any case)."""
        return cls(DEFAULT_AGENTS | {name.strip().lower() for name in extra} - {""})

    def allows(self, call: Call) -> bool:
        """Say whether the answer to `call` may be kept, and answered from.

        The subresource `status` is the object itself; every other one is not. A dry
        run made nothing. Metadata and Tables are kept apart from whole objects; of a
        Table, what is not as kubectl asks by default is passed on and not kept.
        """
        return (
            call.component != ""
            and (call.component in self.agents or "*" in self.agents)
            and call.verb in VERBS
            and call.resource != ""
            and call.resource not in NEVER
            and call.subresource in ("", "status")
            and not call.dry_run
            and call.problem is None
            and not call.unknown_options
            and _keeps_form(call)
        )


def _keeps_form(call: Call) -> bool:
    as_kind = call.accept[0].as_kind if call.accept else ""
    if as_kind == TABLE:
        # A watch of Tables shows a person what changes; the list before it was kept.
        return call.verb in ("get", "list") and call.include_object in ("", "Metadata")
    return as_kind in FORMS
