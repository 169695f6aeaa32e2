# SPDX-License-Identifier: Apache-2.0
"""Who hears of each answer: the series, the drill, the list of who is not kept.

It is on the way of every request, so what goes the short way is counted at places that
were found beforehand.
"""

from bisect import bisect_left
from collections.abc import Callable

from toono.admin.metrics import BUCKETS, Metrics
from toono.app.agents import Agents
from toono.autonomy.drill import Drill
from toono.kube.request import Call
from toono.runtime.clock import Clock


class Observing:
    """Tells of each answer to whoever counts it."""

    def __init__(
        self,
        metrics: Metrics,
        drill: Drill,
        agents: Agents,
        *,
        clock: Clock,
    ) -> None:
        self._metrics = metrics
        self._drill = drill
        self._asked = agents.asked
        self._recorder = agents.recorder
        self._clock = clock
        self.heard: list[Callable[[Call], None]] = []
        """Told of each request that could be read."""

    def note(self, call: Call | None, route: str, code: int, seconds: float) -> None:
        """Count one answer; `call` is None for what could not be read."""
        if call is None:
            self._metrics.observe(("unknown", "", "", route, code), seconds)
            return
        kind = (call.verb, call.resource, call.component, route, code)
        self._metrics.observe(kind, seconds)
        self._drill.note(call, code)
        for told in self.heard:
            told(call)
        if route == "forward":
            self._asked.note(call, self._recorder.policy, now=self._clock.wall())

    def counter(self, call: Call, route: str, code: int) -> Callable[[float], None]:
        """Return what counts more of a kind of good answer that was noted before.

        For as long as no drill is on and the policy stays. Whoever is told of a
        request hears of the noted ones alone.
        """
        kind = (call.verb, call.resource, call.component, route, code)
        count, times = self._metrics.places(kind)
        counts = times.counts
        answered, name = self._drill.place(call)
        asker = None
        if route == "forward":
            asker = self._asked.place(call, self._recorder.policy)

        def add(seconds: float) -> None:
            count.count += 1
            counts[bisect_left(BUCKETS, seconds)] += 1
            times.sum += seconds
            answered[name] += 1
            if asker is not None:
                asker.requests += 1

        return add
