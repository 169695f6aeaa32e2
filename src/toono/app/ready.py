# SPDX-License-Identifier: Apache-2.0
"""Opens what says whether this node is ready for a cut: looks up what is known."""

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from toono.admin.handler import JSON
from toono.app.agents import Agents
from toono.app.board import Board
from toono.app.certificates import CLIENT, SERVING
from toono.app.node_only import refused
from toono.app.prefetch import asking
from toono.app.settings import HubSettings
from toono.autonomy.needs import Need, of_node, of_pod
from toono.autonomy.prefetch import KUBELET, Prefetch
from toono.autonomy.readiness import (
    Finding,
    Known,
    Level,
    count_reasons,
    nothing_kept,
    of_agents,
    of_certificates,
    of_notes,
    of_workload,
    unjudged,
    workload_of,
    worst_first,
)
from toono.certs.ends import ends_at
from toono.codec.sent import read_values
from toono.identity.book import ALWAYS
from toono.identity.rights import question_of
from toono.identity.rows import NODE
from toono.pipeline.chain import Chain, caller_of
from toono.runtime.clock import Clock
from toono.wire.messages import Request, Response

PAGE = "/v1/ready"
PREFETCH = "/v1/ready/prefetch"
FIRST_SECONDS = 5.0
"""A hub that starts, maybe cut off and beside a kubelet that starts, answers first: to
read every pod takes the loop for a tenth of a millisecond each."""
EVERY_SECONDS = 60.0


class Ready(Collector):
    """Looks every minute, and when it is asked to."""

    def __init__(
        self,
        settings: HubSettings,
        board: Board,
        chain: Chain,
        kept: Agents,
        ahead: Prefetch,
        *,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._board = board
        self._chain = chain
        self._kept = kept
        self._ahead = ahead
        self._clock = clock
        self._looked_at = 0.0
        self._findings = [unjudged()]

    async def run(self) -> None:
        """Look until cancelled."""
        await self._clock.sleep(FIRST_SECONDS)
        while True:
            await self.look()
            await self._clock.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """Find out what would not survive now."""
        now = self._clock.wall()
        if self._settings.keeps:
            findings = [*await self._of_kubelet(now), *of_agents(self._not_kept())]
        else:
            findings = [nothing_kept()]
        certificates = await asyncio.to_thread(certificates_of, self._settings)
        findings += of_certificates(certificates, now=now)
        notes = self._board.notes.items()
        findings += of_notes({name: note() for name, note in notes if name != "drill"})
        self._looked_at, self._findings = now, worst_first(findings)

    async def _of_kubelet(self, now: float) -> list[Finding]:
        pods = list(await self._ahead.pods())
        if not pods and not self._ahead.is_heard:
            return [unjudged()]
        node = await self._known(of_node(self._settings.node_name))
        findings = of_workload(KUBELET, node, now=now)
        for pod in pods:
            workload = workload_of(pod)
            if workload:
                findings += of_workload(
                    workload, await self._known(of_pod(pod)), now=now
                )
        return findings

    async def _known(self, needs: Iterable[Need]) -> list[Known]:
        return [await self._known_of(need) for need in needs]

    async def _known_of(self, need: Need) -> Known:
        call, _ = asking(need, KUBELET)
        place = "/".join(filter(None, (call.namespace, call.name or call.pinned_name)))
        if need.sent:
            ends = self._chain.alone.tokens.ends_at(call, read_values(need.sent))
            return Known(f"token of {place}", known=True, token=True, ends_at=ends)
        book = self._chain.rights.book
        verdict = book.find(NODE, question_of(call), window=ALWAYS)
        return Known(
            f"{call.resource} {place}".strip(),
            known=await self._ahead.known(need),
            forbidden=verdict is not None and not verdict.allowed,
        )

    def _not_kept(self) -> Iterator[tuple[str, list[str]]]:
        policy = self._kept.recorder.policy
        for one in self._kept.asked.not_kept(policy):
            resources = one["resources"]
            assert isinstance(resources, list)
            yield str(one["component"]), resources

    def page(self) -> dict[str, object]:
        """Return what was found."""
        return {
            "ready": all(one.level is not Level.LOST for one in self._findings),
            "lookedAt": self._looked_at,
            "findings": [
                {
                    "workload": one.workload,
                    "level": one.level.value,
                    "reason": one.reason.value,
                    "what": one.what,
                    "remedy": one.remedy,
                }
                for one in self._findings
            ],
        }

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Make the series that alerts look at."""
        series = GaugeMetricFamily(
            "toono_not_ready_for_cut",
            "What would not survive a cut that begins now.",
            labels=("reason",),
        )
        for reason, count in count_reasons(self._findings).items():
            series.add_metric([reason.value], count)
        yield series

    async def act(self, request: Request, *, prefetch: bool) -> Response:
        """Look now, for the node itself; ask ahead first where that is wanted."""
        if not await self._chain.rights.is_node(caller_of(request)):
            return refused()
        if prefetch:
            await self._ahead.now()
        await self.look()
        content = msgspec.json.encode(self.page())
        return Response(status=200, headers=JSON, content=content)


def certificates_of(settings: HubSettings) -> dict[str, float]:
    """Return when the node's certificates end; one that cannot be read tells none.

    A file that serves twice is named once.
    """
    files: dict[str, tuple[str, Path]] = {}
    for what, path in _certificate_files(settings):
        files.setdefault(os.path.realpath(path), (what, path))
    found = {what: ends_at(path) for what, path in files.values()}
    return {what: ends for what, ends in found.items() if ends is not None}


def _certificate_files(settings: HubSettings) -> Iterator[tuple[str, Path]]:
    """Yield what certificates are for, and where they are, if they are."""
    if settings.tls is not None and settings.tls.certificate is not None:
        yield "the node's client certificate", settings.tls.certificate
    if settings.serving is not None:
        yield "the certificate shown to pods", settings.serving.certificate
    kept = settings.certificates
    if kept is not None and kept.client:
        yield "the hub's own client certificate", kept.root.current(CLIENT)
    if kept is not None and kept.serving:
        yield "the certificate kept for pods", kept.root.current(SERVING)
    if settings.kubelet_pki is not None:
        for what in ("client", "server"):
            file = settings.kubelet_pki / f"kubelet-{what}-current.pem"
            yield f"the kubelet's {what} certificate", file


def open_ready(
    settings: HubSettings,
    board: Board,
    chain: Chain,
    kept: Agents,
    ahead: Prefetch,
    *,
    clock: Clock,
) -> Ready:
    """Look for as long as the hub runs."""
    ready = Ready(settings, board, chain, kept, ahead, clock=clock)
    board.duties.append(("ready", ready.run))
    board.pages[PAGE] = ready.page
    board.actions[PAGE] = lambda request: ready.act(request, prefetch=False)
    board.actions[PREFETCH] = lambda request: ready.act(request, prefetch=True)
    board.series.append(ready)
    return ready
