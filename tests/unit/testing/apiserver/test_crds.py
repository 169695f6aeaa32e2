# SPDX-License-Identifier: Apache-2.0
"""What becomes of a CustomResourceDefinition in the embedded server."""

import asyncio

from tests.unit.restmapper.virtual import VirtualClock, run
from toono.testing.apiserver.crds import (
    API_SERVICES,
    CRDS,
    FINALIZER,
    TERMINATING_VERBS,
    Definitions,
    resources_of,
    with_cleanup,
)
from toono.testing.apiserver.resources import built_in
from toono.testing.apiserver.storage import Storage, Stored

X = "x.example.com"
TICK = 0.01


def definition(kind="Driver", plural="drivers", versions=("v1",), **names):
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": f"{plural}.{X}"},
        "spec": {
            "group": X,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, **names},
            "versions": [
                {"name": name, "served": True, "subresources": {"status": {}}}
                for name in versions
            ],
        },
    }


class World:
    def __init__(self):
        self.storage = Storage()
        self.definitions, self.resources = self.server()

    def server(self):
        resources = built_in()
        definitions = Definitions(self.storage, resources, VirtualClock())
        definitions.start()
        return definitions, resources

    def put(self, content):
        key = ("", content["metadata"]["name"])
        return self.storage.put(CRDS.qualified, key, content)

    def stored(self, plural="drivers"):
        found = self.storage.collection(CRDS.qualified).now.get(("", f"{plural}.{X}"))
        return found and found.object

    def conditions(self, plural="drivers"):
        told = self.stored(plural)["status"]["conditions"]
        return {each["type"]: each["status"] for each in told}

    def shown(self):
        return {
            (each.group, each.version, each.plural)
            for each in self.definitions.all_shown()
            if each.custom
        }


def world_test(story):
    async def main():
        world = World()
        try:
            await story(world)
        finally:
            await world.definitions.aclose()

    run(main())


def test_a_crd_is_accepted_established_served_and_shown():
    async def story(world):
        world.put(definition(shortNames=["dr"]))
        await asyncio.sleep(TICK)
        assert world.conditions() == {"NamesAccepted": "True", "Established": "True"}
        accepted = world.stored()["status"]["acceptedNames"]
        assert accepted["singular"] == "driver"
        assert accepted["listKind"] == "DriverList"
        assert "finalizers" not in world.stored()["metadata"]
        told = world.stored()["status"]["conditions"]
        assert [each["reason"] for each in told] == [
            "NoConflicts",
            "InitialNamesAccepted",
        ]
        assert (X, "v1", "drivers") in world.resources
        assert world.shown() == {(X, "v1", "drivers")}
        services = world.storage.collection(API_SERVICES.qualified).now
        assert ("", f"v1.{X}") in services
        (resource,) = resources_of(world.stored())
        assert resource.short_names == ("dr",)
        assert resource.subresources == ("status",)

    world_test(story)


def test_the_finalizer_comes_with_the_deletion_and_once() -> None:
    held = {"metadata": {"name": "a", "finalizers": ["mine"]}}
    marked = with_cleanup(Stored(("", "a"), 5, held))
    assert marked.object["metadata"]["finalizers"] == ["mine", FINALIZER]
    assert with_cleanup(marked).object == marked.object
    assert held["metadata"]["finalizers"] == ["mine"]


def test_discovery_shows_it_later_than_it_is_served():
    async def story(world):
        world.definitions.delays.established = 2
        world.definitions.delays.shown = 5
        world.put(definition())
        await asyncio.sleep(1)
        assert world.conditions() == {"NamesAccepted": "True"}
        await asyncio.sleep(1.5)
        assert (X, "v1", "drivers") in world.resources
        assert world.shown() == set()
        await asyncio.sleep(5)
        assert world.shown() == {(X, "v1", "drivers")}

    world_test(story)


def test_two_servers_of_one_storage_may_show_it_at_different_times():
    async def story(world):
        other, resources = world.server()
        other.delays.shown = 10
        world.put(definition())
        await asyncio.sleep(1)
        assert (X, "v1", "drivers") in resources
        assert world.shown() == {(X, "v1", "drivers")}
        assert not [each for each in other.all_shown() if each.custom]
        await asyncio.sleep(10)
        assert [each for each in other.all_shown() if each.custom]
        await other.aclose()

    world_test(story)


def test_names_that_another_has_are_not_accepted():
    async def story(world):
        world.put(definition())
        world.put(definition(kind="Driver", plural="driverz"))
        await asyncio.sleep(TICK)
        assert world.conditions("driverz") == {"NamesAccepted": "False"}
        assert world.shown() == {(X, "v1", "drivers")}

    world_test(story)


def test_versions_come_and_go():
    async def story(world):
        world.put(definition())
        await asyncio.sleep(TICK)
        changed = dict(world.stored())
        changed["spec"] = definition(versions=("v2", "v3"))["spec"]
        world.put(changed)
        await asyncio.sleep(TICK)
        assert world.shown() == {(X, "v2", "drivers"), (X, "v3", "drivers")}
        services = world.storage.collection(API_SERVICES.qualified).now
        assert {name for _, name in services} == {f"v2.{X}", f"v3.{X}"}

    world_test(story)


def test_a_kind_that_is_renamed_is_accepted_anew():
    async def story(world):
        world.put(definition())
        await asyncio.sleep(TICK)
        changed = dict(world.stored())
        changed["spec"] = definition(kind="Pilot")["spec"]
        world.put(changed)
        await asyncio.sleep(TICK)
        assert world.resources[X, "v1", "drivers"].kind == "Pilot"

    world_test(story)


def test_a_crd_that_goes_takes_its_objects_along():
    async def story(world):
        world.put(definition())
        await asyncio.sleep(TICK)
        name = f"drivers.{X}"
        content = {"metadata": {"name": "a", "namespace": "shop"}}
        world.storage.put(name, ("shop", "a"), content)
        world.storage.delete(CRDS.qualified, ("", name))
        await asyncio.sleep(TICK)
        assert world.shown() == set()
        assert not world.storage.collection(name).now
        assert not world.storage.collection(API_SERVICES.qualified).now

    world_test(story)


def test_a_finalizer_of_an_object_keeps_the_crd_with_fewer_verbs():
    async def story(world):
        world.put(definition())
        await asyncio.sleep(TICK)
        name = f"drivers.{X}"
        held = {"metadata": {"name": "a", "namespace": "shop", "finalizers": ["f"]}}
        world.storage.put(name, ("shop", "a"), held)
        doomed = world.stored()
        meta = doomed["metadata"] | {"deletionTimestamp": "2026-11-21T00:00:00Z"}
        world.put({**doomed, "metadata": meta})
        await asyncio.sleep(TICK)
        assert world.conditions()["Terminating"] == "True"
        assert world.resources[X, "v1", "drivers"].verbs == TERMINATING_VERBS
        marked = world.storage.collection(name).now["shop", "a"].object
        assert "deletionTimestamp" in marked["metadata"]
        world.storage.delete(name, ("shop", "a"))
        await asyncio.sleep(TICK)
        assert world.stored() is None
        assert world.shown() == set()

    world_test(story)


def test_settled_waits_for_whatever_is_under_way():
    async def story(world):
        settled = world.definitions.settled
        world.definitions.delays.established = world.definitions.delays.shown = 2
        world.put(definition())
        await settled()
        assert world.shown() == {(X, "v1", "drivers")}
        changed = dict(world.stored())
        changed["spec"] = definition(kind="Pilot", versions=("v1", "v2"))["spec"]
        world.put(changed)
        await settled()
        assert world.shown() == {(X, "v1", "drivers"), (X, "v2", "drivers")}
        assert {each.kind for each in world.definitions.shown.values()} == {"Pilot"}
        world.put(definition(kind="Pilot", plural="driverz"))
        await settled()
        assert world.conditions("driverz") == {"NamesAccepted": "False"}
        world.storage.delete(CRDS.qualified, ("", f"drivers.{X}"))
        await settled()
        assert world.shown() == set()

    world_test(story)


def test_settled_does_not_wait_for_finalizers_of_others():
    async def story(world):
        world.put(definition())
        await world.definitions.settled()
        held = {"metadata": {"name": "a", "namespace": "shop", "finalizers": ["f"]}}
        world.storage.put(f"drivers.{X}", ("shop", "a"), held)
        doomed = world.stored()
        meta = doomed["metadata"] | {"deletionTimestamp": "2026-11-21T00:00:00Z"}
        world.put({**doomed, "metadata": meta})
        await world.definitions.settled()
        assert world.shown() == {(X, "v1", "drivers")}
        world.storage.delete(f"drivers.{X}", ("shop", "a"))
        await world.definitions.settled()
        assert world.shown() == set()

    world_test(story)


def test_what_is_there_at_the_start_is_served():
    async def main():
        storage = Storage()
        storage.put(CRDS.qualified, ("", f"drivers.{X}"), definition())
        resources = built_in()
        definitions = Definitions(storage, resources, VirtualClock())
        definitions.start()
        await asyncio.sleep(TICK)
        assert (X, "v1", "drivers") in resources
        await definitions.aclose()

    run(main())
