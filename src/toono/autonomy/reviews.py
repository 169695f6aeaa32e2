# SPDX-License-Identifier: Apache-2.0
"""What the API server said of those who call the kubelet: who they are, what they may.

A kubelet asks TokenReview and SubjectAccessReview for each caller of its own port, and
remembers the answers for minutes. Here they are kept for as long as the operator says,
so that logs and metrics can be had on a node that is cut off; a token's review never
longer than the token says that it lives. To a question nobody asked there is no answer.
"""

import hashlib

import msgspec

from toono.autonomy.tokens import expiry_of
from toono.autonomy.vault import Vault
from toono.codec.sent import Values, read_values, text_in
from toono.errors import CodecError
from toono.runtime.clock import Clock

PREFIX = b"v"
KEPT_SECONDS = 24 * 3600.0
FRESH_PART = 0.1
"""The same verdict is written anew only after this part of its time."""
KINDS = frozenset({"TokenReview", "SubjectAccessReview"})
MAX_NOTED = 1024
Question = tuple[str, ...]
_canonical = msgspec.json.Encoder(order="sorted").encode


class Reviews:
    """Verdicts by question."""

    def __init__(
        self, vault: Vault, *, clock: Clock, lifetime: float = KEPT_SECONDS
    ) -> None:
        self._vault = vault
        self._clock = clock
        self._lifetime = lifetime
        self._last: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._vault)

    def take(self, asked: Values, answer: Values) -> None:
        """Keep a verdict: the newest counts, a refusal as an approval."""
        status = answer.get("status")
        question = question_of(asked)
        if question is None or not isinstance(status, dict) or self._lifetime <= 0:
            return
        content = _canonical(status)
        now = self._clock.wall()
        lasts = self._vault.lasts(*question)
        fresh = lasts is not None and 0 <= now - lasts[0] < self._lifetime * FRESH_PART
        name = _digest(question)
        if fresh and self._last.get(name) == content:
            return
        ends_at = now + self._lifetime
        token_ends_at = expiry_of(text_in(asked, "spec", "token"))
        if token_ends_at:
            ends_at = min(ends_at, token_ends_at)
        self._vault.put(content, *question, ends_at=ends_at)
        self._last[name] = content
        if len(self._last) > MAX_NOTED:
            del self._last[next(iter(self._last))]

    async def find(self, asked: Values) -> Values | None:
        """Return the whole answer to a review; None where no verdict holds."""
        question = question_of(asked)
        if question is None:
            return None
        content = await self._vault.get(*question)
        try:
            status = None if content is None else read_values(content)
        except CodecError:
            return None
        return None if status is None else {**asked, "status": status}


def _digest(question: Question) -> bytes:
    """Return a name for a question that holds no token."""
    return hashlib.blake2b("\0".join(question).encode(), digest_size=16).digest()


def question_of(asked: Values) -> Question | None:
    """Return what makes two reviews the same; None where it is no review."""
    kind, spec = text_in(asked, "kind"), asked.get("spec")
    if kind not in KINDS or not isinstance(spec, dict):
        return None
    return (kind, text_in(asked, "apiVersion"), _canonical(spec).decode())
