# SPDX-License-Identifier: Apache-2.0
from tests.unit.cache.kit import Cache, call, pod, pod_list, run
from toono.cache.received import question_of
from toono.cache.scope import Change, Row
from toono.cache.taking import commit_list, describe

PODS = "/api/v1/pods"


def test_what_was_imported_goes_once_its_list_is_kept() -> None:
    async def scenario() -> None:
        cache = Cache()
        scopes = cache.scopes
        question = question_of(call(PODS), "application/json")
        imported = scopes.ensure(question._replace(version="", namespace="x"))
        imported.imported = True
        imported.rows[("x", "old")] = Row("u", "1", b"{}", 2)
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        scope = scopes.find(question)
        commit_list(scopes, scope, Change((), (), True, False))
        assert imported.rows == {}

    run(scenario)


def test_a_scope_is_described_by_what_its_objects_are() -> None:
    async def scenario() -> None:
        scope = Cache().scopes.ensure(question_of(call(PODS), "application/json"))
        describe(scope, "Pod", "v1")
        assert (scope.kind, scope.api_version) == ("Pod", "v1")

    run(scenario)
