# SPDX-License-Identifier: Apache-2.0
"""A small cloud that forgets nothing: what it held of each question, ever.

It is written apart from the embedded API server on purpose. It knows four questions,
a few names, and as many lives as it was restored from a backup; what the cache says
is judged by it, never by what the cache believes.
"""

import bisect
import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tests.unit.cache.kit import bookmark, event, pod

Key = tuple[str, str]
Pods = Mapping[Key, dict]
PODS = "/api/v1/pods"
SHOP = "/api/v1/namespaces/shop/pods"
RED = PODS + "?labelSelector=color%3Dred"
EDGE = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
QUESTIONS: Mapping[str, Callable[[dict], bool]] = {
    PODS: lambda pod: True,
    SHOP: lambda pod: pod["metadata"]["namespace"] == "shop",
    RED: lambda pod: pod["metadata"]["labels"]["color"] == "red",
    EDGE: lambda pod: pod["spec"]["nodeName"] == "edge-1",
}
KEYS: tuple[Key, ...] = (
    ("home", "a"),
    ("home", "c"),
    ("shop", "a"),
    ("shop", "b"),
    ("shop", "d"),
)


def path_of(key: Key) -> str:
    """Return where a pod is asked for by its name."""
    return f"/api/v1/namespaces/{key[0]}/pods/{key[1]}"


TARGETS: Mapping[str, Callable[[dict], bool]] = {
    **QUESTIONS,
    **{
        path_of(key): lambda pod, key=key: key_of(pod) == key  # type: ignore[misc]
        for key in KEYS
    },
}
"""All that is asked of the cache, and which pods it should name."""


def key_of(content: dict) -> Key:
    """Return the namespace and the name of a pod."""
    return content["metadata"]["namespace"], content["metadata"]["name"]


def version_of(content: dict) -> int:
    """Return the version of a pod."""
    return int(content["metadata"]["resourceVersion"])


class Age(NamedTuple):
    """A version, and in which life of the cloud."""

    life: int
    version: int


class Stretch(NamedTuple):
    """How long something was so: up to, and not with, `until`."""

    since: Age
    until: Age | None


class Cloud:
    """Pods under one counter, and every state that they were in."""

    def __init__(self) -> None:
        self.version = 100
        self._restored = [self.version]
        self.tree: Pods = {}
        """What YurtHub had written at some time before."""
        self._lives: list[list[tuple[int, Pods]]] = [[(self.version, {})]]

    @property
    def life(self) -> int:
        return len(self._lives) - 1

    @property
    def age(self) -> Age:
        return Age(self.life, self.version)

    @property
    def now(self) -> Pods:
        return self._lives[-1][-1][1]

    def put(self, key: Key, *, color: str, node: str, pad: int = 0) -> None:
        """Create or change a pod; another one of its name has another uid."""
        self.version += 1
        old = self.now.get(key)
        uid = old["metadata"]["uid"] if old else f"uid-{self.life}-{self.version}"
        namespace, name = key
        labels = {"color": color, "pad": "x" * pad}
        content = pod(name, self.version, namespace=namespace, uid=uid, labels=labels)
        content["spec"] = {"nodeName": node}
        self._note({**self.now, key: content})

    def delete(self, key: Key) -> None:
        self.version += 1
        self._note({one: pod for one, pod in self.now.items() if one != key})

    def change(self, chance: random.Random, keys: Sequence[Key] = KEYS) -> None:
        """Create, relabel, move or delete a pod."""
        key = chance.choice(keys)
        if key in self.now and chance.random() < 0.35:
            self.delete(key)
            return
        self.put(
            key,
            color=chance.choice(["red", "blue"]),
            node=chance.choice(["edge-1", "edge-2"]),
            pad=chance.choice([0, 40, 200]),
        )

    def restore(self, version: int) -> None:
        """Go back to what was at `version`: a backup was played in."""
        self._restored.append(version)
        self._lives.append([one for one in self._lives[-1] if one[0] <= version])
        self.version = version

    def _note(self, state: Pods) -> None:
        self._lives[-1].append((self.version, state))

    def at(self, age: Age) -> Pods:
        """Return all pods as they were."""
        life = self._lives[age.life]
        at = bisect.bisect_right(life, age.version, key=lambda one: one[0]) - 1
        return life[max(at, 0)][1]

    def select(self, target: str, age: Age) -> Pods:
        """Return the pods that a target should name, as they were."""
        return self._picked(target, self.at(age))

    def stretch(self, target: str, age: Age, last: Age, pods: Pods) -> "Stretch | None":
        """Return when a target was `pods`: the first time from `age` to `last`."""
        for life in range(max(age.life, 0), last.life + 1):
            first = age.version if life == age.life else self._restored[life]
            end = last.version if life == last.life else self._lives[life][-1][0]
            for version in range(first, end + 1):
                if self.select(target, Age(life, version)) == pods:
                    return self._around(target, Age(life, version), pods)
        return None

    def _around(self, target: str, age: Age, pods: Pods) -> "Stretch":
        since, until = age, None
        for version, state in self._lives[age.life]:
            same = self._picked(target, state) == pods
            if version <= age.version and not same:
                since = Age(age.life, age.version + 1)
            elif version <= age.version:
                since = min(since, Age(age.life, version))
            elif not same:
                until = Age(age.life, version)
                break
        if until is None and age.life < self.life:
            until = Age(age.life + 1, 0)
        return Stretch(since, until)

    @staticmethod
    def _picked(target: str, state: Pods) -> Pods:
        return {key: pod for key, pod in state.items() if TARGETS[target](pod)}

    def events(self, question: str, after: int) -> list[bytes]:
        """Return the frames of a watch of this life, from behind a version to now."""
        frames = []
        for version in range(after + 1, self.version + 1):
            before = self.select(question, Age(self.life, version - 1))
            now = self.select(question, Age(self.life, version))
            for key in before.keys() | now.keys():
                if before.get(key) == now.get(key):
                    continue
                if key in now:
                    kind = "MODIFIED" if key in before else "ADDED"
                    frames.append(event(kind, now[key]))
                else:
                    frames.append(event("DELETED", _at(before[key], version)))
        return frames

    def bookmark(self) -> bytes:
        return bookmark(self.version)


def _at(content: dict, version: int) -> dict:
    """A pod as it was, at the version of its end."""
    meta = {**content["metadata"], "resourceVersion": str(version)}
    return {**content, "metadata": meta}
