# SPDX-License-Identifier: Apache-2.0
"""What the status listener shows of the agents: who is kept, who asked and was not."""

from collections.abc import Callable, Mapping

from toono.cache.asked import Asked
from toono.cache.guests import Guests
from toono.cache.policy import DEFAULT_AGENTS, EVERYONE
from toono.config.live import KEY, NAMES, LiveAgents
from toono.kube.accounts import PREFIX

Gauge = tuple[str, str, Callable[[], float]]


def agents_page(live: LiveAgents, asked: Asked, guests: Guests) -> Mapping[str, object]:
    """Return the content of /v1/agents."""
    policy = live.policy
    not_kept = asked.not_kept(policy)
    asking = {str(one["component"]) for one in not_kept}
    names = {one for one in live.names | asking if not one.startswith(PREFIX)}
    return {
        "agents": sorted(policy.agents),
        "everyone": policy.keeps_everyone,
        "problem": live.problem,
        "guests": {
            "sizeBytes": guests.size_bytes,
            "questions": guests.count,
            "evicted": guests.evicted,
        },
        "notKept": not_kept,
        "configMap": NAMES[0],
        "line": f'{KEY}: "{",".join(sorted(names - DEFAULT_AGENTS))}"',
    }


def agents_gauges(live: LiveAgents, guests: Guests) -> list[Gauge]:
    """Return the series of the agents."""
    return [
        (
            "toono_agents_bad",
            "1 while the newest cache_agents cannot be used.",
            lambda: float(bool(live.problem)),
        ),
        (
            "toono_agents_bad_values",
            "Values of cache_agents that could not be used.",
            lambda: float(live.bad_values),
        ),
        (
            "toono_agents_forbidden",
            "Sources of cache_agents that the node may not read.",
            lambda: float(live.forbidden),
        ),
        (
            "toono_agents",
            "Agents that are kept by name.",
            lambda: float(len(live.policy.agents - {EVERYONE})),
        ),
        (
            "toono_guests_size_bytes",
            "Bytes of agents that are kept by `*` or a header.",
            lambda: float(guests.size_bytes),
        ),
        (
            "toono_guests_questions",
            "Questions of agents that are kept by `*` or a header.",
            lambda: float(guests.count),
        ),
        (
            "toono_guests_evicted",
            "Questions given up for the limits of such agents.",
            lambda: float(guests.evicted),
        ),
    ]
