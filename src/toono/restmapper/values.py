# SPDX-License-Identifier: Apache-2.0
"""The nouns of the mapper: names of kinds and resources, and what joins them.

Plain values; nothing here knows where they came from.
"""

import re
from enum import Enum
from typing import NamedTuple

import msgspec

CORE = ""
"""The name of the core group."""
INTERNAL = "__internal"
"""apimachinery's mark for "no version"."""
CORE_ROOT, GROUPS_ROOT = "/api", "/apis"
ROOTS = (CORE_ROOT, GROUPS_ROOT)
"""The paths whose documents list the core group, and all others."""


def root_of(group: str) -> str:
    """The path whose document lists a group."""
    return GROUPS_ROOT if group else CORE_ROOT


class GroupVersion(NamedTuple):
    """A group in one version; the core group is ""."""

    group: str
    version: str

    def __str__(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @classmethod
    def parse(cls, api_version: str) -> "GroupVersion":
        """Read an object's `apiVersion`."""
        group, slash, version = api_version.rpartition("/")
        return cls(group if slash else CORE, version)


class GroupKind(NamedTuple):
    """A kind without its version."""

    group: str
    kind: str


class GroupVersionKind(NamedTuple):
    """A kind in one version."""

    group: str
    version: str
    kind: str


class GroupVersionResource(NamedTuple):
    """A resource; in questions any part but the name may be ""."""

    group: str
    version: str
    resource: str


class Scope(Enum):
    """Where objects of a kind live."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"
    UNKNOWN = "Unknown"
    """Learned from a body alone, whose URL told nothing of it."""


class Source(Enum):
    """Who told of a group-version."""

    AGGREGATED = "aggregated"
    LEGACY = "legacy"
    CRD = "crd"
    LEARNED = "learned"
    DISK = "disk"


class State(Enum):
    """How far what is known of a group-version can be trusted."""

    FRESH = "fresh"
    STALE = "stale"
    """The server cannot tell just now; the last good answer is kept."""
    FAILED = "failed"
    """The server cannot tell, and never could since this mapper knows it."""


class Subresource(msgspec.Struct, frozen=True):
    """One subresource, such as `status` of `pods`."""

    name: str
    kind: GroupVersionKind
    verbs: tuple[str, ...] = ()


class APIResource(msgspec.Struct, frozen=True):
    """One resource as discovery tells it."""

    resource: str
    singular: str
    kind: GroupVersionKind
    """Its `kind` is "" where only subresources are served."""
    scope: Scope
    verbs: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()

    @property
    def essence(self) -> tuple[object, ...]:
        """What a caller would act on; sets come in any order."""
        return (
            self.resource,
            self.kind.kind,
            self.singular,
            self.scope,
            frozenset(self.verbs),
            frozenset(self.short_names),
            frozenset(self.categories),
        )


class RESTMapping(msgspec.Struct, frozen=True):
    """A resource and its kind, and how to ask for objects of it."""

    resource: GroupVersionResource
    kind: GroupVersionKind
    scope: Scope
    api: APIResource
    stale: bool = False
    """The last good answer of a server that cannot tell just now."""


def guess_plural(kind: str) -> tuple[str, str]:
    """Guess (plural, singular) of a kind as apimachinery's UnsafeGuessKindToResource."""
    singular = kind.lower()
    if not singular or singular.endswith("endpoints"):
        return singular, singular
    if singular.endswith("s"):
        return singular + "es", singular
    if singular.endswith("y"):
        return singular[:-1] + "ies", singular
    return singular + "s", singular


_KUBE_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?\Z")
_STABILITY = {"alpha": 0, "beta": 1, None: 2}


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Order versions as Kubernetes does, the most wanted with the lowest rank.

    GA before beta before alpha, higher numbers first, then whatever is no such
    version by its letters (apimachinery, util/version CompareKubeAwareVersionStrings).
    """
    match = _KUBE_VERSION.match(version)
    if match is None:
        return (1, 0, 0, version)
    major, stability, minor = match.groups()
    return (-_STABILITY[stability], -int(major), -int(minor or 0), "")
