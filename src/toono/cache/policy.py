# SPDX-License-Identifier: Apache-2.0
"""Who may be cached, and what: a pure decision over one call."""

import re
from dataclasses import dataclass

from toono.cache.forms import PARTIAL, TABLE
from toono.kube.accounts import PREFIX, claimed_account
from toono.kube.component import component_of
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
        "toono",
    }
)
"""YurtHub's default agents (`multiplexer-proxy-<node>` is added with the node), and
kubectl: who looks at a node that is cut off should see what was seen before. The last is
the hub itself: what its filters need to know."""

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


EVERYONE = "*"
_ESCAPED = re.compile(r"(?=[^%]*%)(?:[a-z0-9._-]|%[0-9A-F]{2}|%[0-9A-F]?(?=%-)|%-)+\Z")
"""A component that `component_of` had to make safe, written out as lists show it."""


def component_named(name: str) -> str:
    """Return the component that somebody means by `name`; "" where it is none.

    As in a User-Agent only the product counts, in any ASCII case, made safe. What is
    already safe, as `toono cache agents` prints it, stands for itself.
    """
    name = name.strip()
    if _ESCAPED.match(name):
        return name
    # The wire reads a User-Agent as latin-1, and a list of names is UTF-8.
    return component_of(name.encode("utf-8", "surrogatepass").decode("latin-1"))


@dataclass(frozen=True, slots=True)
class Policy:
    """Which components are cached; `*` is every one that says who it is.

    A service account's user among the names means whatever its tokens ask: the API
    server has judged the token before there is an answer to keep.
    """

    agents: frozenset[str]
    closed: bool = False
    """Nobody may be kept, not even who asks for it by a header."""

    @classmethod
    def of(cls, *extra: str) -> "Policy":
        """Return the policy of YurtHub's defaults and `extra` names (any case)."""
        named = {
            one if one == EVERYONE or one.startswith(PREFIX) else component_named(one)
            for one in extra
        }
        return cls(DEFAULT_AGENTS | named - {""})

    def names(self, component: str) -> bool:
        """Say whether `component` is kept by its own name, not by `*` or a header."""
        return component in self.agents

    @property
    def keeps_everyone(self) -> bool:
        """`*` is among the names."""
        return EVERYONE in self.agents

    def admits(self, call: Call) -> bool:
        """Say whether the caller is one whose answers are kept.

        `Edge-Cache: true` asks for it request by request, as in YurtHub v1.5.
        """
        component = call.component
        if component == "":
            return False
        return (
            component in self.agents
            or EVERYONE in self.agents
            or (call.edge_cache and not self.closed)
            or (
                call.caller.token != b""
                and claimed_account(call.caller.token) in self.agents
            )
        )

    def allows(self, call: Call) -> bool:
        """Say whether the answer to `call` may be kept, and answered from.

        The subresource `status` is the object itself; every other one is not. A dry
        run made nothing. Metadata and Tables are kept apart from whole objects; of a
        Table with whole objects in its rows those are kept, and one whose rows name
        no object is passed on and not kept.
        """
        return (
            self.admits(call)
            and call.verb in VERBS
            and call.resource != ""
            and call.resource not in NEVER
            and call.subresource in ("", "status")
            and not call.dry_run
            and call.problem is None
            and not call.unknown_options
            and _keeps_form(call)
        )


NOBODY = Policy(frozenset(), closed=True)
"""Of a hub that keeps nothing."""
_NAMING = ("", "Metadata", "Object")
"""What of an object the rows of a Table may hold, so that they say whose they are."""


def _keeps_form(call: Call) -> bool:
    for form in call.accept:
        if form.drop:
            return False  # less than the object, where the server knows the word
    as_kind = call.accept[0].as_kind if call.accept else ""
    if as_kind == TABLE:
        # A watch of Tables shows a person what changes; the list before it was kept.
        return call.verb in ("get", "list") and call.include_object in _NAMING
    return as_kind in FORMS
