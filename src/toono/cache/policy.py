# SPDX-License-Identifier: Apache-2.0
"""Who may be cached, and what: a pure decision over one call."""

from dataclasses import dataclass

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
    }
)
"""YurtHub's default agents (`multiplexer-proxy-<node>` is added with the node)."""

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
        run made nothing. Answers in another form than the
        plain object (Table, metadata only) are passed on and not kept.
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
            and not (call.accept and call.accept[0].as_kind)
        )
