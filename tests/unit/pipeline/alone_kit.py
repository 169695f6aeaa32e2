# SPDX-License-Identifier: Apache-2.0
"""A hub that is cut off, with all that answers writes, over a store in memory."""

import asyncio
import json

import pytest

from tests.unit.cache.kit import Cache, one, pod
from toono.autonomy import reviews, tokens
from toono.autonomy.reviews import Reviews
from toono.autonomy.spool import Spool
from toono.autonomy.tokens import Tokens
from toono.autonomy.vault import Vault
from toono.autonomy.writes import WriteTable
from toono.errors import RequestError
from toono.identity.book import Book
from toono.identity.rights import Rights, RightsSettings
from toono.identity.sealed import Seal
from toono.identity.sockets import Owner
from toono.identity.tokens import read_key_set
from toono.kube.request import Caller, parse
from toono.pipeline.alone import Alone
from toono.pipeline.limits import InFlight
from toono.pipeline.local import Local
from toono.pipeline.spooling import Spooling
from toono.testing.apiserver.tokens import TokenKeys
from toono.wire.messages import BytesBody, Peer, Request, Response

KEYS = TokenKeys(algorithm="ES256")
JSON = "application/json"
MERGE = "application/strategic-merge-patch+json"
EVENTS = "/api/v1/namespaces/shop/events"
POD = "/api/v1/namespaces/default/pods/a"
EVENT = {
    "kind": "Event",
    "apiVersion": "v1",
    "metadata": {"name": "web.1", "namespace": "shop"},
    "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web"},
    "reason": "Started",
    "count": 1,
}
HOST = Owner(0, frozenset({"/system.slice/kubelet.service"}))
STRANGER = Owner(1000, frozenset())


class Scene:
    """Everything real but the disk, the clock and the sockets."""

    def __init__(self, *, disk: bool = True, node: bool = True, **table) -> None:
        self.cache = Cache()
        self.clock = self.cache.clock
        self.online = False
        self.since = self.clock.wall()
        self.spool = Spool(self.cache.store)
        self.seal = Seal.fleeting()
        self.rights = Rights(
            Book(self.cache.store),
            clock=self.clock,
            settings=RightsSettings(node_name="edge-1"),
            owner=lambda *_: HOST if node else STRANGER,
        )
        self.rights.verifier.use(read_key_set(KEYS.issuer, KEYS.jwks()))
        local = Local(
            self.cache.answers,
            self.cache.documents,
            self,
            InFlight(),
            self.clock,
            asyncio.Event(),
        )
        vaults = [
            Vault(self.cache.store, self.seal, prefix=prefix, clock=self.clock)
            for prefix in (tokens.PREFIX, reviews.PREFIX)
        ]
        self.alone = Alone(
            table=WriteTable(**table),
            spooling=Spooling(
                self.spool if disk else None,
                self.seal,
                rights=self.rights,
                answers=self.cache.answers,
                local=local,
                clock=self.clock,
            ),
            tokens=Tokens(vaults[0], clock=self.clock),
            reviews=Reviews(vaults[1], clock=self.clock),
            rights=self.rights,
        )

    def token(self, *, seconds: float = 600.0) -> str:
        return KEYS.mint("shop", "web", now=self.clock.wall(), seconds=seconds)

    def pair(self, method: str, target: str, values, kind=JSON, accept=JSON, token=""):
        """Return a call and its request."""
        content = values if isinstance(values, bytes) else json.dumps(values).encode()
        fields = {
            b"user-agent": b"kubelet/v1",
            b"accept": accept.encode(),
            b"content-type": kind.encode(),
        }
        caller = Caller(
            connection=1,
            local=("127.0.0.1", 1),
            remote=("127.0.0.1", 2),
            token=token.encode(),
        )
        request = Request(
            method=method,
            target=target.encode(),
            headers=[],
            fields=fields,
            body=BytesBody(content),
            peer=Peer(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2)),
        )
        return parse(method, target.encode(), fields, caller), request

    async def ask(self, method: str, target: str, values, *more, **kind) -> Response:
        return await self.alone(*self.pair(method, target, values, *more, **kind))

    async def refused(self, *asked, **kind) -> RequestError:
        with pytest.raises(RequestError) as caught:
            await self.ask(*asked, **kind)
        return caught.value

    async def pass_by(self, method: str, target: str, values, answer: Response, *more):
        """Let a write go upstream and its answer come back; return what went."""
        call, request = self.pair(method, target, values, *more)
        sent = await self.alone.before(call, request)
        self.alone.after(call, sent, answer)
        return sent, await request.body.read()

    async def see_pod(self) -> None:
        await self.cache.take(POD, one(pod("a", 3)))

    async def waiting(self) -> list:
        return [await self.spool.read(entry) for entry in self.spool.entries()]


def values_of(response: Response) -> dict:
    assert isinstance(response.content, bytes)
    return json.loads(response.content)


def answered(values: dict, code: int = 201, **fields: str) -> Response:
    headers = [(b"Content-Type", b"application/json")]
    headers += [(k.replace("_", "-").encode(), v.encode()) for k, v in fields.items()]
    return Response(status=code, headers=headers, content=json.dumps(values).encode())
