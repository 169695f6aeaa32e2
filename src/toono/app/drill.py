# SPDX-License-Identifier: Apache-2.0
"""Opens drills: who may begin one, what is held meanwhile, where it shows."""

from functools import partial
from typing import Annotated

import msgspec

from toono.admin.handler import JSON, TEXT
from toono.app.board import Board
from toono.app.node_only import node_content, refused
from toono.autonomy.drill import MAX_SECONDS, Drill
from toono.identity.rights import Rights
from toono.kube.component import component_of
from toono.pipeline.chain import caller_of
from toono.runtime.clock import Clock
from toono.upstream.pool import Upstream
from toono.wire.messages import Request, Response

PAGE = "/v1/drill"
START = "/v1/drill/start"
STOP = "/v1/drill/stop"
MAX_BYTES = 16 * 1024


class _Start(msgspec.Struct):
    seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_SECONDS)]
    only: list[str] = []


_asked = msgspec.json.Decoder(_Start).decode


def open_drill(
    board: Board, upstream: Upstream, rights: Rights, *, clock: Clock
) -> Drill:
    """Have drills ready; none is on after a start."""
    drill = Drill(clock=clock)
    drill.changed = upstream.hold
    board.duties.append(("drill", drill.run))
    board.pages[PAGE] = drill.report
    board.notes["drill"] = drill.note_text
    board.facts["drill"] = lambda: drill.note_text() or "none"
    board.actions[START] = partial(_start, drill, rights)
    board.actions[STOP] = partial(_stop, drill, rights)
    board.gauges.append(
        (
            "toono_drill",
            "1 while somebody is cut off for practice.",
            lambda: float(drill.is_on),
        )
    )
    return drill


async def _start(drill: Drill, rights: Rights, request: Request) -> Response:
    content = await node_content(request, rights, most=MAX_BYTES)
    if isinstance(content, Response):
        return content
    try:
        asked = _asked(content)
    except msgspec.DecodeError as exc:
        return Response(status=400, headers=TEXT, content=f"{exc}\n".encode())
    if not drill.start(asked.seconds, frozenset(map(component_of, asked.only))):
        return Response(status=409, headers=TEXT, content=b"a drill is on already\n")
    return _report(drill)


async def _stop(drill: Drill, rights: Rights, request: Request) -> Response:
    if not await rights.is_node(caller_of(request)):
        return refused()
    drill.end()
    return _report(drill)


def _report(drill: Drill) -> Response:
    content = msgspec.json.encode(drill.report())
    return Response(status=200, headers=JSON, content=content)
