# SPDX-License-Identifier: Apache-2.0
"""Answers of the mapper that are more than a mapping."""

from typing import NamedTuple

from toono.restmapper.values import GroupVersionResource, RESTMapping


class Expansion(NamedTuple):
    """What a short name stands for."""

    mapping: RESTMapping
    others: tuple[RESTMapping, ...]
    """What else has that short name and comes later."""

    @property
    def warning(self) -> str:
        """What to tell a user who may have meant another; "" if there is none."""
        if not self.others:
            return ""
        one = _qualified(self.mapping.resource)
        rest = ", ".join(_qualified(each.resource) for each in self.others)
        return f"short name stands for {one}, could also be {rest}"


class Statistics(NamedTuple):
    """Counters and sizes, for metrics."""

    requests: int
    signals: int
    misses: int
    generation: int
    kinds: int
    stale_versions: int
    age: float | None
    watching: bool


def _qualified(resource: GroupVersionResource) -> str:
    return (
        f"{resource.resource}.{resource.group}" if resource.group else resource.resource
    )
