# SPDX-License-Identifier: Apache-2.0
"""Any history of lists, with any names, restarts and lost databases between them."""

import asyncio
import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cache.kit import pod, pod_list
from tests.unit.cache.tree_kit import Copied, files_of, rebuilt
from toono.cache.tree_layout import place_of

PODS = "/api/v1/pods"
FOLDER = ("kubelet", "pods.v1.core")
odd = st.sampled_from(
    ["a", "A", "..", "tmp_a", "a b", "ü", "x" * 255, "%2f", "default"]
)
names = st.one_of(odd, st.text(st.characters(exclude_categories=["Cs"]), max_size=4))
keys = st.tuples(st.sampled_from(["default", "shop", "tmp_n"]), names)
lists = st.dictionaries(keys, st.integers(1, 3), max_size=5)
steps = st.lists(st.tuples(lists, st.sampled_from(["restart", "lose"])), max_size=5)


@given(steps)
@settings(max_examples=25, deadline=None)
def test_the_tree_holds_what_was_listed_last(history) -> None:
    asyncio.run(play(history))


async def play(history) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        cache = Copied(path)
        for number, (held, then) in enumerate(history):
            version = 10 * number + 10
            listed = [
                pod(name, version - at, namespace=namespace)
                for (namespace, name), at in held.items()
            ]
            await cache.take(PODS, pod_list(version, *listed))
            await cache.writer.bring_up_to_date(exact=True)
            await judge(cache, path)
            await cache.scopes.aclose()
            if then == "lose":
                lost = await rebuilt(path)
                await lost.scopes.aclose()
                cache = Copied(path, lost.store)
            else:
                cache = Copied(path, cache.store)
            await cache.scopes.open()
        await cache.scopes.aclose()


async def judge(cache: Copied, path: Path) -> None:
    """Hold the tree to what the cache knows, and its names to the layout."""
    scopes = list(cache.scopes.all())
    if not scopes:
        return  # the list had a name that no API server gives
    (scope,) = scopes
    places = {key: place_of(FOLDER, key) for key in scope.rows}
    held = {"/".join((*FOLDER, *place)) for place in places.values() if place}
    assert set(files_of(path)) == held
    for key, place in places.items():
        if place is not None:
            found = json.loads(path.joinpath(*FOLDER, *place).read_bytes())["metadata"]
            assert (found["namespace"], found["name"]) == key
            assert found["resourceVersion"] == scope.rows[key].resource_version
    again = await rebuilt(path)
    shown = {key for one in again.scopes.all() for key in one.rows}
    assert shown == {key for key, place in places.items() if place}
    if all(places.values()) and scope.complete:
        (proven,) = again.scopes.all()
        assert (proven.complete, proven.version) == (True, scope.version)
