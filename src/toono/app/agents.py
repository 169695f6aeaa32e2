# SPDX-License-Identifier: Apache-2.0
"""Opens what decides whose answers are kept: the policy, and what changes it live."""

from dataclasses import dataclass
from functools import partial

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.app.storage import Storage
from toono.cache.asked import Asked
from toono.cache.guests import Guests
from toono.cache.policy import NOBODY, Policy
from toono.cache.record import Recorder
from toono.config.agents_page import agents_gauges, agents_page
from toono.config.live import LiveAgents
from toono.runtime.clock import Clock
from toono.upstream.pool import Upstream


@dataclass(frozen=True, slots=True)
class Agents:
    """Who is kept, and who asked and was not."""

    recorder: Recorder
    asked: Asked
    live: LiveAgents


async def open_agents(
    settings: HubSettings,
    board: Board,
    storage: Storage,
    upstream: Upstream,
    *,
    clock: Clock,
) -> Agents:
    """Read who was kept, and follow what the cloud says of it."""
    policy = Policy.of(*settings.kept_agents) if settings.keeps else NOBODY
    storage.documents.closed = not settings.keeps
    recorder = Recorder(storage.scopes, policy)
    guests = Guests(storage.scopes, recorder.policy)
    storage.scopes.has_room = guests.has_room

    def changed(policy: Policy) -> None:
        if settings.keeps:
            recorder.policy = guests.policy = policy

    live = LiveAgents(
        storage.store, storage.scopes, fixed=settings.kept_agents, changed=changed
    )
    await live.open()
    if not settings.keeps:
        board.facts["cache"] = lambda: "nothing is kept: --working-mode=cloud"
    asked = Asked()
    board.notes["cache-agents"] = lambda: live.problem
    board.pages["/v1/agents"] = lambda: agents_page(live, asked, guests)
    board.gauges.extend(agents_gauges(live, guests))
    followers = live.followers(upstream, namespace=settings.namespace, clock=clock)
    board.duties.extend(("follow-agents", one.run) for one in followers)
    board.duties.append(("guests", partial(guests.run, clock)))
    return Agents(recorder, asked, live)
