# SPDX-License-Identifier: Apache-2.0
"""Takes a new join token for a hub that runs, as YurtHub's /v1/token does.

The token asks for a certificate where the node's own has ended, so only the node may
give one. It is believed as at joining: what it leads to must be the cluster's CA.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import msgspec

from toono.admin.handler import TEXT
from toono.app.board import Board
from toono.app.node_only import node_content
from toono.app.settings import HubSettings
from toono.certs.discovery import JoinToken, discover, pins_of
from toono.certs.files import Bootstrap, write_bootstrap
from toono.config.certificates import CertificateSettings
from toono.errors import CertificateError, UpstreamError
from toono.identity.rights import Rights
from toono.wire.messages import Request, Response

log = logging.getLogger(__name__)

PAGE = "/v1/token"
MAX_BYTES = 4096
UPDATED = "update bootstrap token successfully"


class _Tokens(msgspec.Struct):
    jointoken: str = ""


_tokens = msgspec.json.Decoder(_Tokens).decode


def open_token(
    settings: HubSettings,
    chosen: CertificateSettings,
    board: Board,
    *,
    rights: Rights,
    taken: Callable[[], None],
) -> None:
    """Have join tokens taken; `taken` is called where there is a new one."""
    board.actions[PAGE] = partial(_take, settings, chosen, rights, taken)


async def _take(
    settings: HubSettings,
    chosen: CertificateSettings,
    rights: Rights,
    taken: Callable[[], None],
    request: Request,
) -> Response:
    content = await node_content(request, rights, most=MAX_BYTES)
    if isinstance(content, Response):
        return content
    if not chosen.client:
        return _said(200, UPDATED)  # the kubelet's certificate needs no token
    try:
        text = _tokens(content).jointoken
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # What was sent is not repeated: it may be a token with a slip in it.
        return _said(400, "could not decode tokens, no JSON with a jointoken")
    if not text:
        return _said(400, "no join token is set")
    try:
        await _believe(settings, chosen, text)
    except (CertificateError, UpstreamError, OSError) as exc:
        return _said(500, f"could not update bootstrap token, {exc}")
    log.info("a new join token was taken")
    taken()
    return _said(200, UPDATED)


async def _believe(
    settings: HubSettings, chosen: CertificateSettings, text: str
) -> None:
    """Keep a token whose cluster is this node's."""
    token = JoinToken.of(text)
    pins = chosen.pins or pins_of(chosen.root.ca.read_bytes())
    failure: UpstreamError | None = None
    for host, port in settings.servers:
        try:
            ca = await discover((host, port), token, pins)
        except UpstreamError as exc:
            failure = exc
            continue
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        told = Bootstrap(server=f"https://{authority}", ca=ca, token=text)
        await asyncio.to_thread(write_bootstrap, chosen.root.bootstrap, told)
        return
    raise failure or UpstreamError("there is no server to ask")


def _said(status: int, text: str) -> Response:
    return Response(status=status, headers=TEXT, content=f"{text}\n".encode())
