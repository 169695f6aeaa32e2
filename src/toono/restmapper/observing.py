# SPDX-License-Identifier: Apache-2.0
"""What a proxy tells the mapper it hosts, out of the traffic that passes through it.

Each call is cheap, waits for nothing, and believes nothing that discovery could not
confirm: what is seen makes the mapper ask again.
"""

import msgspec

from toono.restmapper.fetch import Fetcher
from toono.restmapper.ledger import Ledger
from toono.restmapper.observations import (
    API_SERVICES,
    CRDS,
    Sighting,
    parse_target,
    sighting,
)
from toono.restmapper.overlay import Row
from toono.restmapper.signals import Signals
from toono.restmapper.values import APIResource, GroupVersion, Source, guess_plural


class _Version(msgspec.Struct, rename="camel"):
    git_version: str = ""


_version = msgspec.json.Decoder(_Version)


class Observer:
    """The ear of the mapper; `RESTMapper.observe`."""

    def __init__(self, ledger: Ledger, signals: Signals, fetcher: Fetcher) -> None:
        self._ledger, self._signals, self._fetcher = ledger, signals, fetcher
        self.version_document = b""
        """The newest /version, as it came."""
        self.git_version = ""

    def write(self, target: str) -> None:
        """A write to `target` was answered 2xx. Those to other things tell nothing."""
        asked = parse_target(target)
        if asked is None or asked.resource[::2] not in (CRDS, API_SERVICES):
            return
        group = asked.name.partition(".")[2]
        self._signals.give(group or None, awaits_change=True)

    def not_served(self, target: str) -> None:
        """`target` was answered 404 in a way that `is_not_served` recognises."""
        asked = parse_target(target)
        if asked is None:
            return
        if self._ledger.snapshot.served(asked.resource) is not None:
            self._signals.give(asked.resource.group, awaits_change=False)

    def body(self, target: str, api_version: str, kind: str) -> None:
        """A body of `api_version` and `kind` answered `target` with 2xx."""
        seen = sighting(target, api_version, kind)
        if seen is None:
            return
        known = self._ledger.snapshot.served(seen.resource)
        if known is None:
            self._learn(seen)
        elif known.kind != seen.kind:
            self._signals.give(seen.kind.group, awaits_change=False)

    def reconnect(self) -> None:
        """The upstream answers again after it did not."""
        self._signals.give(None, awaits_change=False)

    def version(self, body: bytes) -> None:
        """The body of a 200 answer to /version."""
        try:
            told = _version.decode(body).git_version
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if not told:
            return
        self.version_document = body
        before, self.git_version = self.git_version, told
        if before and before != told:
            self._fetcher.offer_again()
            self._signals.give(None, awaits_change=False)

    def _learn(self, seen: Sighting) -> None:
        group, version, name = seen.resource
        singular = guess_plural(seen.kind.kind)[1]
        self._signals.learn(
            Row(
                gv=GroupVersion(group, version),
                plural=name,
                resource=APIResource(name, singular, seen.kind, seen.scope),
                source=Source.LEARNED,
                born=self._ledger.tick(),
                until=self._signals.deadline(),
            )
        )
