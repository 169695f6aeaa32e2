# SPDX-License-Identifier: Apache-2.0
"""Tokens of service accounts that a kubelet was given, given to it again.

Real tokens with the API server's own signature, within the life that they really
have: a token for pods says it lives for an hour, and is good for a year (the API
server's --service-account-extend-token-expiration). What is told of its end is moved
on, never past that. Whoever asked is part of the question: nobody else is answered.
"""

import base64
import binascii
from datetime import UTC, datetime

import msgspec

from toono.autonomy.vault import Vault
from toono.codec.sent import JSON, Values, read_values, text_in, write_sent
from toono.errors import CodecError
from toono.kube.request import Call
from toono.runtime.clock import Clock

PREFIX = b"t"
LEAST_SECONDS = 60.0
"""A token with less to live is not worth giving out."""
DEFAULT_SECONDS = 3600.0
Question = tuple[str, ...]


class _Claims(msgspec.Struct):
    exp: float


_claims = msgspec.json.Decoder(_Claims).decode


class Tokens:
    """What is kept of TokenRequests."""

    def __init__(self, vault: Vault, *, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock

    def __len__(self) -> int:
        return len(self._vault)

    def take(self, call: Call, asked: Values, answer: Values) -> None:
        """Keep what the API server answered, if it is a token."""
        token = text_in(answer, "status", "token")
        ends_at = expiry_of(token) or _moment(
            text_in(answer, "status", "expirationTimestamp")
        )
        if token and ends_at:
            content = write_sent(answer, JSON)
            self._vault.put(content, *question_of(call, asked), ends_at=ends_at)

    def told(self, call: Call, asked: Values) -> float | None:
        """Return when a token was told that has half of its life yet; None: none has."""
        lasts = self._vault.lasts(*question_of(call, asked))
        if lasts is None or self._clock.wall() > (lasts[0] + lasts[1]) / 2:
            return None
        return lasts[0]

    def ends_at(self, call: Call, asked: Values) -> float:
        """Return when the token that is kept ends; 0 where none is."""
        lasts = self._vault.lasts(*question_of(call, asked))
        return 0.0 if lasts is None else lasts[1]

    async def find(self, call: Call, asked: Values) -> Values | None:
        """Return an answer to give again; None where no token lives long enough."""
        question = question_of(call, asked)
        content = await self._vault.get(*question)
        lasts = self._vault.lasts(*question)
        if content is None or lasts is None:
            return None
        now, ends_at = self._clock.wall(), lasts[1]
        if ends_at - now < LEAST_SECONDS:
            return None
        try:
            answer = read_values(content)
        except CodecError:
            return None
        spec = answer.get("spec")
        seconds = spec.get("expirationSeconds") if isinstance(spec, dict) else None
        life = float(seconds) if isinstance(seconds, int) else DEFAULT_SECONDS
        told = datetime.fromtimestamp(min(ends_at, now + life), UTC)
        answer["status"]["expirationTimestamp"] = told.strftime("%Y-%m-%dT%H:%M:%SZ")
        return answer


def question_of(call: Call, asked: Values) -> Question:
    """Return what makes two TokenRequests the same: who asks, for whom, for what.

    Not how long it should live: the longest that is left is as good as any.
    """
    spec = asked.get("spec")
    audiences = spec.get("audiences") if isinstance(spec, dict) else None
    bound = spec.get("boundObjectRef") if isinstance(spec, dict) else None
    named = [str(one) for one in audiences] if isinstance(audiences, list) else []
    parts = ("apiVersion", "kind", "name", "uid")
    return (
        call.component,
        call.namespace,
        call.name,
        *(text_in(bound, part) for part in parts),
        *sorted(named),
    )


def expiry_of(token: str) -> float:
    """Return the wall time at which a JWT ends by its own word, 0 where it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return 0.0
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        return _claims(base64.urlsafe_b64decode(padded)).exp
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return 0.0


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except ValueError:
        return 0.0
