# SPDX-License-Identifier: Apache-2.0
"""Three answers that are no mapping, which callers must be able to tell apart.

MapperError
 +-- NoMatchError                the servers confirm that there is no such thing
 |    +-- NoKindMatchError
 |    +-- NoResourceMatchError
 +-- DiscoveryUnavailableError   nobody could be asked; asking again may help
 +-- AmbiguousError              there are several, and nothing prefers one
 |    +-- AmbiguousKindError
 |    +-- AmbiguousResourceError
 +-- BadDocumentError            a discovery document is not what it says it is

"Could not ask" taken for "absent" is how controllers stop caring for what they own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from toono.errors import ToonoError
from toono.restmapper.values import (
    GroupKind,
    GroupVersionKind,
    GroupVersionResource,
    RESTMapping,
)


class MapperError(ToonoError):
    """Base of what the mapper raises."""


class NoMatchError(MapperError):
    """Confirmed absent: a server that was asked does not serve it."""


class NoKindMatchError(NoMatchError):
    """No served version of the group has the kind."""

    def __init__(self, kind: GroupKind, versions: Sequence[str] = ()) -> None:
        asked = f" in versions {', '.join(versions)}" if versions else ""
        super().__init__(f"no matches for kind {kind.kind!r} of {kind.group!r}{asked}")
        self.kind = kind
        self.versions = tuple(versions)


class NoResourceMatchError(NoMatchError):
    """Nothing served has the name, as far as the question gave it."""

    def __init__(self, resource: GroupVersionResource) -> None:
        super().__init__(f"no matches for {_spelled(resource)}")
        self.resource = resource


class DiscoveryUnavailableError(MapperError):
    """Nobody who knows could be asked; it may be there or not. Retryable."""

    def __init__(
        self,
        what: Sequence[str],
        reason: str,
        *,
        since: float | None = None,
        last_known: Sequence[RESTMapping] = (),
    ) -> None:
        at = f" since {_instant(since)}" if since is not None else ""
        super().__init__(f"discovery of {', '.join(what)} unavailable{at}: {reason}")
        self.groups = tuple(what)
        self.reason = reason
        self.since = since
        """Wall clock seconds of the first failure in a row, where one is known."""
        self.last_known = tuple(last_known)


class AmbiguousError(MapperError):
    """Several match and no rule prefers one."""


class AmbiguousKindError(AmbiguousError):
    """One kind is served under several resources of one group-version."""

    def __init__(
        self, kind: GroupKind, resources: Sequence[GroupVersionResource]
    ) -> None:
        names = ", ".join(_spelled(resource) for resource in resources)
        super().__init__(f"kind {kind.kind!r} of {kind.group!r} is served as {names}")
        self.kind = kind
        self.resources = tuple(resources)


class AmbiguousResourceError(AmbiguousError):
    """One name stands for several resources of one group-version."""

    def __init__(
        self,
        resource: GroupVersionResource,
        resources: Sequence[GroupVersionResource],
        kinds: Sequence[GroupVersionKind],
    ) -> None:
        names = ", ".join(_spelled(each) for each in resources)
        super().__init__(f"{_spelled(resource)} may be {names}")
        self.resource = resource
        self.resources = tuple(resources)
        self.kinds = tuple(kinds)


class BadDocumentError(MapperError):
    """A document cannot be read; says what is wrong with it."""


def _spelled(resource: GroupVersionResource) -> str:
    return ".".join(part for part in (resource[2], resource[1], resource[0]) if part)


def _instant(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
