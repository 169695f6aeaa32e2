# SPDX-License-Identifier: Apache-2.0
"""Opens what asks ahead for a kubelet: through the same door as the kubelet's own."""

import asyncio
from collections.abc import Iterable

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.autonomy.needs import Need
from toono.autonomy.prefetch import Prefetch, Sources
from toono.cache.answer import Absent, Answers, Found
from toono.codec import transcode
from toono.codec.sent import PROTOBUF, Values, read_values
from toono.errors import CodecError, UpstreamError
from toono.identity.rights import Verdict
from toono.kube.request import Call, Caller, parse
from toono.pipeline.chain import Chain
from toono.pipeline.local import MEDIA_TYPES
from toono.runtime.clock import Clock
from toono.upstream.pool import Credential
from toono.wire.messages import BytesBody, Headers, Peer, Request

HUB = Caller(connection=0, local=("", 0), remote=("", 0))
ASK_SECONDS = 30.0


def open_prefetch(
    settings: HubSettings, board: Board, chain: Chain, answers: Answers, *, clock: Clock
) -> Prefetch:
    """Ask ahead for as long as the hub runs and keeps, once a kubelet was heard."""

    async def known_since(need: Need, agent: str) -> float | None:
        call, _ = asking(need, agent)
        if need.sent:
            return chain.alone.tokens.told(call, read_values(need.sent))
        if chain.rights.judge_node(call).verdict is not Verdict.ALLOWED:
            return None  # it is known by another's word: not to the node, cut off
        ask = answers.get if call.verb == "get" else answers.list
        found = await ask(call, lambda _: True)
        if isinstance(found, Found | Absent):
            return found.scope.confirmed_at
        return None

    async def fetch(need: Need, agent: str) -> int:
        call, request = asking(need, agent)
        if chain.drill is not None and chain.drill.cuts(call):
            raise UpstreamError("a drill is on")
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await _pass(chain, call, request)
        except TimeoutError as exc:
            raise UpstreamError(f"no answer in {ASK_SECONDS} s") from exc

    async def pods(need: Need, agent: str) -> Iterable[Values]:
        call, _ = asking(need, agent)
        found = await answers.list(call, lambda scope: _form(scope.question.media_type))
        if not isinstance(found, Found):
            return ()
        packed = found.scope.question.media_type == PROTOBUF
        return [_pod(item, packed=packed) for item in found.items]

    prefetch = Prefetch(
        settings.node_name,
        Sources(known_since=known_since, fetch=fetch, pods=pods),
        clock=clock,
    )
    if settings.keeps:
        chain.alone.heard.append(prefetch.heard)
        board.mode.append(prefetch.mode)
        board.duties.append(("prefetch", prefetch.run))
    board.gauges.append(
        (
            "toono_prefetch_fetched",
            "Questions of a kubelet that were asked ahead.",
            lambda: float(prefetch.fetched),
        )
    )
    board.gauges.append(
        (
            "toono_prefetch_missing",
            "Questions of a kubelet that could not be answered now if it started.",
            lambda: float(prefetch.missing),
        )
    )
    return prefetch


async def _pass(chain: Chain, call: Call, request: Request) -> int:
    """Send a question as the node's own and read its answer to the end."""
    sent = await chain.alone.before(call, request)
    response = await chain.forward(call, request, Credential.NODE)
    chain.alone.after(call, sent, response)
    chain.rights.learn(HUB, call, response.status, node=True)
    if response.body is not None:
        try:
            while await response.body.read():
                pass
        finally:
            response.body.close()
    return response.status


def asking(need: Need, agent: str) -> tuple[Call, Request]:
    """Return a need as the kubelet would ask it."""
    headers: Headers = [
        (b"User-Agent", agent.encode("latin-1")),
        (b"Accept", f"{PROTOBUF}, */*".encode()),
    ]
    if need.sent:
        headers.append((b"Content-Type", b"application/json"))
    fields = {name.lower(): value for name, value in headers}
    method = "POST" if need.sent else "GET"
    request = Request(
        method=method,
        target=need.target.encode(),
        headers=headers,
        fields=fields,
        body=BytesBody(need.sent),
        peer=Peer(connection=0, local=HUB.local, remote=HUB.remote),
    )
    return parse(method, request.target, fields, HUB), request


def _form(media_type: str) -> bool:
    return media_type in MEDIA_TYPES


def _pod(item: bytes, *, packed: bool) -> Values:
    """Return a stored pod's values; one that cannot be read needs nothing."""
    try:
        if packed:
            item = transcode.to_json(item, kind="Pod", api_version="v1")
        return read_values(item)
    except CodecError:
        return {}
