# SPDX-License-Identifier: Apache-2.0
"""Opens what knows this node's own Node: its condition, its marks, its newest version."""

from collections.abc import Callable

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.autonomy.cloud import Cloud
from toono.autonomy.distribution import Marked
from toono.autonomy.follow import Follower
from toono.autonomy.node import NodeKeeper, followed_node
from toono.cache.scopes import Scopes
from toono.kube.request import Call
from toono.runtime.clock import Clock
from toono.upstream.pool import Upstream


def open_node(
    settings: HubSettings,
    board: Board,
    scopes: Scopes,
    upstream: Upstream,
    *,
    clock: Clock,
    marked: Callable[[Marked], None],
) -> Callable[[Call], bool]:
    """Follow the Node; return whether a call asks for it as the cache has it."""
    state = board.facts["store"]

    def fault() -> str:
        now = str(state())
        return "" if now == "ok" else f"the cache is {now}"

    name = settings.node_name
    keeper = NodeKeeper(Cloud(upstream), name, clock=clock, fault=fault, marked=marked)
    follower = Follower(upstream, followed_node(name), clock=clock, taken=keeper.take)
    board.duties.extend([("follow-node", follower.run), ("node", keeper.run)])

    def said() -> str:
        node = keeper.node
        return "unknown" if node is None or node.said is None else node.said.status

    board.facts["autonomy"] = said
    board.gauges.append(
        (
            "toono_autonomy",
            "1 while the node's Autonomy condition is True.",
            lambda: float(said() == "True"),
        )
    )

    def unchanged(call: Call) -> bool:
        if not keeper.asks_for_it(call) or keeper.node is None or not follower.live:
            return False
        newest = keeper.node.resource_version
        key = ("", name)
        return any(
            key in scope.rows and scope.rows[key].resource_version == newest
            for scope in scopes.about(call.component, "", "nodes", name)
        )

    return unchanged
