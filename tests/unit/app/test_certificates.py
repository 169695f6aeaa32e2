# SPDX-License-Identifier: Apache-2.0
"""What pods may call is asked of the cloud; a running hub: tests/scenario."""

import asyncio
import json

import pytest

from toono.app.certificates import ServingNames
from toono.autonomy.cloud import Told
from toono.errors import UpstreamError


class Cloud:
    """Answers as the test says."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked = []

    async def ask(self, method: str, target: str) -> Told:
        self.asked.append((method, target))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def service(**spec) -> Told:
    return Told(200, "application/json", json.dumps({"spec": spec}).encode())


def looked(*answers) -> tuple[ServingNames, int]:
    changes = []
    names = ServingNames("edge-1", ("169.254.2.1",), Cloud(*answers))
    names.changed = lambda: changes.append(1)

    async def go() -> None:
        for _ in answers:
            await names.look()

    asyncio.run(go())
    return names, len(changes)


def test_cluster_s_addresses_come_first() -> None:
    names, changes = looked(
        service(clusterIP="10.96.0.1", clusterIPs=["10.96.0.1", "fd00::1"])
    )
    assert names.wanted().addresses == ("10.96.0.1", "fd00::1", "169.254.2.1")
    assert changes == 1


def test_single_address_of_an_older_server_is_enough() -> None:
    names, _ = looked(service(clusterIP="10.96.0.1"))
    assert names.wanted().addresses == ("10.96.0.1", "169.254.2.1")


@pytest.mark.parametrize(
    "answer",
    [
        UpstreamError("cut"),
        Told(403, "application/json", b"{}"),
        Told(200, "text/html", b"<html>"),
        Told(200, "application/json", b"\xff"),
        service(clusterIP="None"),
        service(),
    ],
)
def test_what_is_not_known_is_not_guessed_and_what_is_known_stays(answer) -> None:
    assert looked(answer)[0].wanted() is None
    names, changes = looked(service(clusterIP="10.96.0.1"), answer)
    assert names.wanted() is not None
    assert changes == 1


def test_changed_address_is_told_and_the_same_one_is_not() -> None:
    one, other = service(clusterIP="10.96.0.1"), service(clusterIP="10.97.0.1")
    assert looked(one, one, other)[1] == 2
