# SPDX-License-Identifier: Apache-2.0
"""CustomResourceDefinitions at work: names accepted, Established, served, shown, gone.

Does what kube-apiserver's controllers do: conditions and accepted names in the status,
a finalizer that keeps a CRD until its objects are gone, an APIService for each
group-version. Each step may be given a delay, and servers of one storage may have
different ones, as those of one cluster do.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.resources import Resource, shaped
from toono.testing.apiserver.storage import Change, Storage, Stored, encode

CRDS = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    plural="customresourcedefinitions",
    kind="CustomResourceDefinition",
    namespaced=False,
)
API_SERVICES = Resource(
    group="apiregistration.k8s.io",
    version="v1",
    plural="apiservices",
    kind="APIService",
    namespaced=False,
)
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
VERBS = (
    "delete", "deletecollection", "get", "list", "patch", "create", "update", "watch",
)  # fmt: skip
REASONS = {
    ("NamesAccepted", "True"): ("NoConflicts", "no conflicts found"),
    ("Established", "True"): (
        "InitialNamesAccepted",
        "the initial names have been accepted",
    ),
    ("Terminating", "True"): (
        "InstanceDeletionInProgress",
        "CustomResource deletion is in progress",
    ),
}
"""Of each condition: its reason, and what is said beside it."""
TERMINATING_VERBS = ("delete", "deletecollection", "get", "list", "watch")

ResourceKey = tuple[str, str, str]
Work = Coroutine[Any, Any, None]


@dataclass(slots=True, kw_only=True)
class Delays:
    """How long each step takes on one server; tests change them while it runs."""

    established: float = 0.0
    """From the creation to the condition."""
    shown: float = 0.0
    """From the condition, or the end, to discovery; requests are served at once."""


class Definitions:
    """Keeps what one server serves in step with the CRDs in its storage."""

    def __init__(
        self,
        storage: Storage,
        resources: dict[ResourceKey, Resource],
        clock: Clock,
    ) -> None:
        self._storage, self._resources, self._clock = storage, resources, clock
        self.delays = Delays()
        self.shown: dict[ResourceKey, Resource] = {}
        """What discovery tells of custom resources."""
        self._served: dict[str, dict[ResourceKey, Resource]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop: Callable[[], None] | None = None
        self._queue: asyncio.Queue[str] | None = None

    # -- life ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin, with the CRDs that are there already."""
        self._queue = asyncio.Queue()
        self._stop = self._storage.listen(self._take)
        self._spawn(self._work(), "crds")
        for name in self._names():
            self._queue.put_nowait(name)

    async def aclose(self) -> None:
        """End."""
        if self._stop is not None:
            self._stop()
        self._stop = self._queue = None
        await cancel_and_wait(*self._tasks)

    async def settled(self) -> None:
        """Wait until what was created, changed or deleted so far is served and shown.

        What waits for names or for finalizers of others is settled too.
        """
        for name in {*self._names(), *self._served}:
            while self._is_under_way(name):
                await self._clock.sleep(0.001)

    def _is_under_way(self, name: str) -> bool:
        stored = self._stored(name)
        shown = {each for each in self.shown.values() if each.qualified == name}
        if stored is None:
            return bool(shown)
        if _is_refused(stored.object):
            return False
        if "deletionTimestamp" in stored.object["metadata"]:
            return not self._storage.collection(name).now
        if not _is_true(stored.object, "Established") or _is_renamed(stored.object):
            return True
        return shown != set(resources_of(stored.object))

    def all_shown(self) -> list[Resource]:
        """What discovery tells: built-in resources, and custom ones as shown."""
        ours = {key for served in self._served.values() for key in served}
        others = [each for key, each in self._resources.items() if key not in ours]
        return [*others, *self.shown.values()]

    def _spawn(self, work: Work, name: str) -> None:
        task = spawn(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _names(self) -> list[str]:
        return [name for _, name in self._storage.collection(CRDS.qualified).now]

    def _take(self, resource: str, change: Change) -> None:
        """Storage changed; the work is done outside of its call."""
        if self._queue is None:
            return
        if resource == CRDS.qualified:
            stored = change.after or change.before
            assert stored is not None
            self._queue.put_nowait(stored.key[1])
            return
        for name in self._names():
            if name == resource:
                self._queue.put_nowait(name)

    async def _work(self) -> None:
        assert self._queue is not None
        while True:
            name = await self._queue.get()
            self._settle(name)

    # -- one CRD -------------------------------------------------------------------

    def _settle(self, name: str) -> None:
        """Bring one CRD a step further."""
        stored = self._stored(name)
        if stored is None:
            for key in list(self._storage.collection(name).now):
                self._storage.delete(name, key)
            self._serve(name, {})
            return
        meta = stored.object["metadata"]
        if "deletionTimestamp" in meta:
            self._terminate(name, stored)
        elif not _is_true(stored.object, "NamesAccepted") or _is_renamed(stored.object):
            self._accept_names(stored)
        elif not _is_true(stored.object, "Established"):
            self._spawn(self._establish(name), f"establish {name}")
        stored = self._stored(name)
        if stored is not None and _is_true(stored.object, "Established"):
            resources = resources_of(stored.object)
            self._serve(name, {_key(each): each for each in resources})

    def _stored(self, name: str) -> Stored | None:
        return self._storage.collection(CRDS.qualified).now.get(("", name))

    def _accept_names(self, stored: Stored) -> None:
        """Accept the names unless another CRD of the group has one of them."""
        names = stored.object["spec"]["names"]
        rival = self._rival(stored)
        if rival:
            reason = f"{rival} has one of these names"
            self._condition(stored, "NamesAccepted", "False", message=reason)
            return
        status = dict(stored.object.get("status") or {})
        accepted = {
            "plural": names["plural"],
            "singular": names.get("singular") or names["kind"].lower(),
            "shortNames": names.get("shortNames"),
            "kind": names["kind"],
            "listKind": names.get("listKind") or names["kind"] + "List",
            "categories": names.get("categories"),
        }
        told = {key: value for key, value in accepted.items() if value is not None}
        status["acceptedNames"] = told
        content = {**stored.object, "status": status}
        condition = self._told("NamesAccepted", "True")
        self._write(_conditioned(content, condition), stored)

    def _rival(self, stored: Stored) -> str:
        spec = stored.object["spec"]
        mine = _names_of(spec["names"])
        for (_, name), other in self._storage.collection(CRDS.qualified).now.items():
            accepted = (other.object.get("status") or {}).get("acceptedNames") or {}
            if name == stored.key[1] or other.object["spec"]["group"] != spec["group"]:
                continue
            if mine & _names_of(accepted):
                return name
        return ""

    async def _establish(self, name: str) -> None:
        await self._clock.sleep(self.delays.established)
        stored = self._stored(name)
        if stored is not None and not _is_true(stored.object, "Established"):
            self._condition(stored, "Established", "True")

    def _terminate(self, name: str, stored: Stored) -> None:
        """Delete the objects; once they are gone, let the CRD go."""
        if not _is_true(stored.object, "Terminating"):
            self._condition(stored, "Terminating", "True")
            return
        objects = self._storage.collection(name)
        for key, each in list(objects.now.items()):
            if not each.object["metadata"].get("finalizers"):
                self._storage.delete(name, key)
            elif "deletionTimestamp" not in each.object["metadata"]:
                stamp = stored.object["metadata"]["deletionTimestamp"]
                meta = each.object["metadata"] | {"deletionTimestamp": stamp}
                self._storage.put(name, key, {**each.object, "metadata": meta})
        if not objects.now and self._stored(name) is not None:
            self._storage.delete(CRDS.qualified, stored.key)

    def _condition(
        self, stored: Stored, kind: str, status: str, *, message: str = ""
    ) -> None:
        condition = self._told(kind, status, message=message)
        self._write(_conditioned(stored.object, condition), stored)

    def _told(self, kind: str, status: str, *, message: str = "") -> JSON:
        """Return a condition as it is told: since when, and why."""
        now = datetime.fromtimestamp(self._clock.wall(), UTC)
        reason, why = REASONS.get((kind, status), ("", ""))
        told: JSON = {
            "type": kind,
            "status": status,
            "lastTransitionTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "reason": reason,
            "message": message or why,
        }
        return {key: value for key, value in told.items() if value}

    def _write(self, content: JSON, stored: Stored) -> None:
        if content != stored.object:
            self._storage.put(CRDS.qualified, stored.key, shaped(CRDS, content))

    # -- what follows from it ---------------------------------------------------------

    def _serve(self, name: str, wanted: dict[ResourceKey, Resource]) -> None:
        """Serve at once, and show it in discovery after a while."""
        before = self._served.get(name, {})
        if before == wanted:
            return
        self._served[name] = wanted
        for key in before.keys() - wanted.keys():
            self._resources.pop(key, None)
        self._resources.update(wanted)
        if self.delays.shown:
            self._spawn(self._show_later(name), f"show {name}")
        else:
            self._show(name)
        self._register(before, wanted)

    async def _show_later(self, name: str) -> None:
        await self._clock.sleep(self.delays.shown)
        self._show(name)

    def _show(self, name: str) -> None:
        gone = [key for key, each in self.shown.items() if each.qualified == name]
        for key in gone:
            del self.shown[key]
        self.shown.update(self._served.get(name, {}))

    def _register(
        self, before: dict[ResourceKey, Resource], wanted: dict[ResourceKey, Resource]
    ) -> None:
        """Keep an APIService for each group-version that is served."""
        services = self._storage.collection(API_SERVICES.qualified).now
        served = {(key[0], key[1]) for key in self._resources}
        for group, version, _ in before.keys() | wanted.keys():
            key = ("", f"{version}.{group}")
            if (group, version) in served and key not in services:
                content = api_service(group, version)
                self._storage.put(API_SERVICES.qualified, key, content)
            elif (group, version) not in served and key in services:
                self._storage.delete(API_SERVICES.qualified, key)


def with_cleanup(stored: Stored) -> Stored:
    """Return a CRD that is to be deleted, with what keeps it until its objects are gone.

    API servers put the finalizer there with the deletion, not before.
    """
    meta = stored.object["metadata"]
    finalizers = list(dict.fromkeys([*meta.get("finalizers", ()), FINALIZER]))
    content = {**stored.object, "metadata": {**meta, "finalizers": finalizers}}
    return stored._replace(object=content)


def resources_of(definition: JSON) -> Iterator[Resource]:
    """The resources that an established CRD serves, one a version."""
    spec, names = definition["spec"], definition["status"]["acceptedNames"]
    terminating = _is_true(definition, "Terminating")
    for version in spec["versions"]:
        if version.get("served"):
            yield Resource(
                group=spec["group"],
                version=version["name"],
                plural=names["plural"],
                kind=names["kind"],
                namespaced=spec.get("scope", "Namespaced") == "Namespaced",
                custom=True,
                singular=names.get("singular", ""),
                short_names=tuple(names.get("shortNames", ())),
                categories=tuple(names.get("categories", ())),
                verbs=TERMINATING_VERBS if terminating else VERBS,
                subresources=tuple(version.get("subresources", ())),
                definition=encode(definition),
            )


def api_service(group: str, version: str, *, available: bool = True) -> JSON:
    """The APIService of a group-version."""
    condition = {"type": "Available", "status": str(available)}
    return {
        "kind": API_SERVICES.kind,
        "apiVersion": API_SERVICES.api_version,
        "metadata": {"name": f"{version}.{group}"},
        "spec": {"group": group, "version": version},
        "status": {"conditions": [condition]},
    }


def _key(resource: Resource) -> ResourceKey:
    return (resource.group, resource.version, resource.plural)


def _names_of(names: JSON) -> set[str]:
    told = [names.get("plural"), names.get("singular"), names.get("kind")]
    return {each for each in (*told, *names.get("shortNames", ())) if each}


def _is_true(content: JSON, kind: str) -> bool:
    conditions = (content.get("status") or {}).get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def _is_refused(content: JSON) -> bool:
    """Whether another CRD has the names."""
    conditions = (content.get("status") or {}).get("conditions") or ()
    false = {"type": "NamesAccepted", "status": "False"}
    return any(false.items() <= each.items() for each in conditions)


def _is_renamed(content: JSON) -> bool:
    """Whether the kind or the short names were changed since they were accepted."""
    names, accepted = content["spec"]["names"], content["status"]["acceptedNames"]
    fields = ("kind", "shortNames", "categories")
    return any(names.get(field) != accepted.get(field) for field in fields)


def _conditioned(content: JSON, condition: JSON) -> JSON:
    """Return a CRD with a condition; one that says the same stays since when it did."""
    told = dict(content.get("status") or {})
    before: list[JSON] = []
    others: list[JSON] = []
    for each in told.get("conditions") or ():
        (before if each["type"] == condition["type"] else others).append(each)
    if before and before[0]["status"] == condition["status"]:
        condition = {**condition, "lastTransitionTime": before[0]["lastTransitionTime"]}
    told["conditions"] = [*others, condition]
    return {**content, "status": told}
