# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.unit.cache.kit import Cache, call, encode, run
from toono.cache.answer import Unknown
from toono.cache.unknown import NOT_KEPT, OF_A_MOMENT

STATUSES = "/api/v1/componentstatuses"
EMPTY = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": []}


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/api/v1/nodes", NOT_KEPT),
        ("/api/v1/nodes/a", NOT_KEPT),
        (STATUSES, OF_A_MOMENT),
        (STATUSES + "/etcd-0", OF_A_MOMENT),
        ("/apis/x.example.com/v1/componentstatuses", NOT_KEPT),
        ("/apis/metrics.k8s.io/v1beta1/nodes", OF_A_MOMENT),
        ("/apis/custom.metrics.k8s.io/v1beta2/nodes/a", OF_A_MOMENT),
    ],
)
def test_an_unknown_says_whether_it_could_have_been_known(target, why) -> None:
    async def scenario() -> None:
        cache = Cache()
        for kind in ("", "?limit=500"):
            asked = call(target + kind)
            answer = cache.answers.get if asked.name else cache.answers.list
            assert await answer(asked, lambda _: True) == Unknown(why)

    run(scenario)


def test_what_was_asked_and_cannot_be_kept_is_not_said_to_be_unasked() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(STATUSES, encode(EMPTY))
        assert list(cache.scopes.all()) == []
        answer = await cache.answers.list(call(STATUSES), lambda _: True)
        assert answer == Unknown(OF_A_MOMENT)

    run(scenario)
