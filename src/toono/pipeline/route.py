# SPDX-License-Identifier: Apache-2.0
"""Who answers a call: a pure function of the call and what is known at one instant.

All rules of autonomy are here, as one table read from top to bottom.
"""

from dataclasses import dataclass, field
from enum import Enum

from toono.autonomy.writes import Policy, WriteTable, policy_of
from toono.cache.documents import is_document
from toono.kube.request import Call


class Route(Enum):
    """Who answers."""

    FORWARD = "forward"
    """The API server; its answer is recorded where the policy allows."""
    LOCAL = "local"
    """The hub, from what it remembers."""
    ALONE = "alone"
    """The hub, a write, by the table of `autonomy.writes`."""
    REFUSE = "refuse"
    """Nobody can: 503, at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that routing may look at, read at one instant."""

    online: bool
    """Some API server can be reached, as far as the breaker knows."""
    node_name: str
    writes: WriteTable = field(default_factory=WriteTable)
    """What the operator chose for writes."""
    keeps: bool = True
    """The hub remembers, and answers alone what it can."""
    unchanged: bool = False
    """The node asks for its own Node, and the newest there is is remembered."""


READINESS = frozenset({"/readyz", "/livez", "/healthz"})
"""A node that is cut off is ready: what asks here asks whether it may go on."""
READS = frozenset({"get", "list", "watch"})


def choose_route(call: Call, facts: Facts) -> Route:
    """Say who answers `call`; same call and facts, same route."""
    if facts.online:
        return Route.LOCAL if facts.unchanged else Route.FORWARD
    if not facts.keeps:
        return Route.REFUSE
    if not call.resource and (is_document(call) or call.path in READINESS):
        return Route.LOCAL
    if call.resource and policy_of(call, facts.writes) is not Policy.REFUSE:
        return Route.ALONE
    if call.resource == "" or call.subresource not in ("", "status"):
        return Route.REFUSE
    if call.verb in READS:
        return Route.LOCAL
    if registers_node(call):
        return Route.LOCAL
    return Route.REFUSE


def registers_node(call: Call) -> bool:
    """Say whether this is a kubelet that starts: it creates its own Node.

    Cut off it must hear 409 AlreadyExists and then reads the Node; after any other
    answer it tries again for ever and starts no pod.
    """
    return (
        call.verb == "create"
        and call.resource == "nodes"
        and call.group == ""
        and call.subresource == ""
    )
