# SPDX-License-Identifier: Apache-2.0
"""Writes that the hub answers by itself while cut off, and what it notes of them online.

Online nothing is changed on its way: a small body is read before it goes on, so that
the answer can be understood, and so that an event whose connection broke is not lost.
Offline the table of `autonomy.writes` says what is done; `spooling` keeps what waits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from toono.autonomy.reviews import Reviews
from toono.autonomy.tokens import Tokens
from toono.autonomy.writes import Policy, WriteTable, policy_of
from toono.codec.sent import read_sent
from toono.errors import CodecError
from toono.identity.rights import Rights
from toono.kube.request import Call, Caller
from toono.pipeline import heads
from toono.pipeline.reading import read_all
from toono.pipeline.replies import cut_off, reply, unreadable
from toono.pipeline.spooling import Spooling
from toono.wire.messages import BytesBody, Request, Response

MAX_BODY_BYTES = 256 * 1024
"""Of a write that is looked at; what is longer is passed on, and refused offline."""
WRITES = frozenset({"create", "update", "patch", "delete"})
NOTED = frozenset({Policy.TOKEN, Policy.REVIEW})
TOO_LARGE = "a write of this size is not kept"
NOT_NODE = "only this node is answered here"
NO_TOKEN = "no token of this service account was seen that still lives"  # noqa: S105
NO_VERDICT = "nobody asked this while the link was up, or too long ago"
"""Said after `cut off: `."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Takes notes of writes online, answers them offline."""

    table: WriteTable
    spooling: Spooling
    tokens: Tokens
    reviews: Reviews
    rights: Rights
    heard: list[Callable[[Call], None]] = field(default_factory=list)
    """Told of each write of the node that the API server has answered."""

    async def before(self, call: Call, request: Request) -> bytes | None:
        """Look at a write that is about to go upstream; return its body if it is read.

        What waits here of the same object's state is given up first, for good: it
        must never land after this. Not for who is nobody to the API server: a write
        that is refused there must not take the kubelet's away here.
        """
        if call.verb not in WRITES:
            return None
        if await self._may_write(call.caller):
            await self.spooling.overtaken(call)
        if policy_of(call, self.table) is Policy.REFUSE:
            return None
        return await self._read(request)

    async def _may_write(self, caller: Caller) -> bool:
        if not caller.token:
            return await self.rights.is_node(caller)
        return self.rights.may_be_taken(caller.token)

    async def _read(self, request: Request) -> bytes | None:
        """Read a body that is small enough, and leave it to be read again."""
        length = request.body.length
        if length is None or length > MAX_BODY_BYTES:
            return None
        content = await read_all(request.body)
        request.body = BytesBody(content)
        return content

    def after(self, call: Call, sent: bytes | None, response: Response) -> None:
        """Keep what the node was told that it may ask again. Never raises for it."""
        for told in self.heard:
            told(call)
        content = response.content
        if sent is None or response.status != 201:
            return
        policy = policy_of(call, self.table)
        if policy not in NOTED:
            return
        fields = {name.lower(): value for name, value in response.headers}
        if b"content-encoding" in fields or not isinstance(content, bytes):
            return
        try:
            asked = read_sent(sent, call.content_type)
            media_type = fields.get(b"content-type", b"").decode("latin-1")
            answer = read_sent(content, media_type)
        except CodecError:
            return
        if answer.get("kind") != asked.get("kind"):
            return
        if policy is Policy.TOKEN:
            self.tokens.take(call, asked, answer)
        else:
            self.reviews.take(asked, answer)

    async def __call__(self, call: Call, request: Request) -> Response:
        """Answer a write; RequestError where that cannot be done."""
        content = await self._read(request)
        if content is None:
            raise cut_off(TOO_LARGE)
        policy = policy_of(call, self.table)
        if policy is Policy.EVENT:
            return await self.spooling.event(call, content)
        if not await self.rights.is_node(call.caller):
            raise cut_off(NOT_NODE)
        if policy is Policy.STATUS:
            return await self.spooling.status(call, content)
        try:
            asked = read_sent(content, call.content_type)
        except CodecError as exc:
            raise unreadable(exc) from exc
        token = policy is Policy.TOKEN
        finding = self.tokens.find(call, asked) if token else self.reviews.find(asked)
        answer = await finding
        if answer is None:
            raise cut_off(NO_TOKEN if token else NO_VERDICT)
        return reply(call, 201, answer, heads.HIT)
