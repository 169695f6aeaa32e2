# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from tests.unit.cache.kit import Cache, pod, pod_list, run
from tests.unit.cache.tree_kit import Copied, rebuilt
from toono.cache.tree import adopt_tree, read_tree

PODS = "/api/v1/pods"
MINE = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
WEB = PODS + "?labelSelector=app%3Dweb"
SHOP = "/api/v1/namespaces/shop/pods"
POD_A = "/api/v1/namespaces/default/pods/a"
A = "kubelet/pods.v1.core/default/a"
WEBBY = {"labels": {"app": "web"}}


def test_a_question_is_complete_again_at_its_version(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5), pod("b", 6)))
        await cache.copy()
        again = await rebuilt(tmp_path)
        assert await again.list(MINE) == (7, ["a", "b"])
        assert await again.list(MINE, agent="other/1") == (7, ["a", "b"])

    run(scenario)


def test_an_empty_list_is_empty_again(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(SHOP, pod_list(7))
        await cache.copy()
        again = await rebuilt(tmp_path)
        assert await again.list(SHOP) == (7, [])
        assert await again.list(PODS) == "Unknown"
        assert await again.get(SHOP + "/x") == "Absent"

    run(scenario)


def test_each_question_has_what_it_picked(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        web, other = pod("a", 5, **WEBBY), pod("b", 6)
        await cache.take(WEB, pod_list(8, web))
        await cache.take(PODS, pod_list(8, web, other, pod("c", 7, namespace="shop")))
        await cache.take(SHOP, pod_list(9, pod("c", 7, namespace="shop")))
        await cache.take(
            POD_A, json.dumps({"kind": "Pod", "apiVersion": "v1"} | web).encode()
        )
        await cache.copy()
        again = await rebuilt(tmp_path)
        assert await again.list(WEB) == (8, ["a"])
        assert await again.list(PODS) == (8, ["a", "b", "c"])
        assert await again.list(SHOP) == (9, ["c"])
        assert await again.get(POD_A) == "5"
        assert all(one.complete for one in again.scopes.all())

    run(scenario)


def test_what_is_restored_is_kept_in_the_new_database(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.copy()
        first = await rebuilt(tmp_path)
        await first.scopes.aclose()
        second = Copied(tmp_path, first.store)
        await second.scopes.open()
        assert await second.list(MINE) == (7, ["a"])
        await second.scopes.aclose()

    run(scenario)


@pytest.mark.parametrize("damage", ["flip", "unlink", "extra", "newer", "no manifest"])
def test_where_anything_differs_nothing_is_proven(tmp_path, damage) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5), pod("b", 6)))
        await cache.copy()
        file = tmp_path / A
        text = file.read_text()
        if damage == "unlink":
            file.unlink()
        elif damage == "no manifest":
            (tmp_path / "_internal/toono/scopes.json").unlink()
        else:
            name = file.with_name("x") if damage == "extra" else file
            old, new = {
                "flip": ("edge-1", "edge-2"),
                "extra": ('"name":"a"', '"name":"x"'),
                "newer": ('"resourceVersion":"5"', '"resourceVersion":"8"'),
            }[damage]
            name.write_text(text.replace(old, new))
        again = await rebuilt(tmp_path)
        (scope,) = again.scopes.all()
        assert (scope.complete, scope.imported) == (False, True)
        assert await again.get(POD_A[:-1] + "zzz") == "Unknown"

    run(scenario)


def test_an_older_question_does_not_get_newer_objects(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(PODS, pod_list(7, pod("a", 5)))
        await cache.take(MINE, pod_list(9, pod("a", 8)))
        await cache.copy()
        again = await rebuilt(tmp_path)
        assert await again.list(MINE) == (9, ["a"])
        complete = [
            one.question.field_selector for one in again.scopes.all() if one.complete
        ]
        assert complete == ["spec.nodeName=edge-1"]

    run(scenario)


def test_an_incomplete_question_stays_so(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        cache.scopes.doubt()
        await cache.copy()
        again = await rebuilt(tmp_path)
        assert [one.complete for one in again.scopes.all()] == [False]

    run(scenario)


def test_a_scope_that_moves_while_it_is_copied_is_noted_as_it_was(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        moved = cache.writer._files.shape

        def shape(folder, plan) -> None:
            moved(folder, plan)
            (scope,) = cache.scopes.all()
            scope.version = 9

        cache.writer._files.shape = shape
        await cache.copy()
        again = await rebuilt(tmp_path)
        assert await again.list(MINE) == (7, ["a"])

    run(scenario)


def test_a_selector_that_cannot_be_evaluated_proves_nothing(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        odd = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
        await cache.take(odd, pod_list(7, pod("a", 5)))
        (scope,) = cache.scopes.all()
        scope.question = scope.question._replace(field_selector="spec.nobody=1")
        await cache.copy()
        again = await rebuilt(tmp_path)
        assert [one.imported for one in again.scopes.all()] == [True]

    run(scenario)


def test_what_the_database_knows_is_not_replaced(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.copy()
        again = Cache()
        await again.take(MINE, pod_list(9, pod("b", 8)))
        adopt_tree(again.scopes, read_tree(tmp_path))
        assert await again.list(MINE) == (9, ["b"])

    run(scenario)


def test_a_question_beyond_the_limits_is_left_out(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(PODS, pod_list(7, pod("a", 5)), agent="agent/1")
        await cache.copy()
        again = Cache()
        again.scopes.has_room = lambda component: False
        adopt_tree(again.scopes, read_tree(tmp_path))
        assert list(again.scopes.all()) == []

    run(scenario)
