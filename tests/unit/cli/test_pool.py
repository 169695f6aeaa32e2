# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of a pool; against hubs: tests/scenario/test_pool."""

import json

import pytest
from click.testing import CliRunner

from tests.unit.cli.test_agents import status_listener
from toono.cli.pool import command

PAGE = {
    "node": "edge-1",
    "role": "follower",
    "leader": "edge-2",
    "etcd": "majority",
    "cluster": "cafe",
    "revision": 12,
    "answersFrom": "pool",
    "problem": "",
    "requests": {"reads": 3, "writes": 1, "failures": 0},
    "delegated": 0,
    "fenced": 0,
    "collections": [
        {
            "resource": "endpointslices.discovery.k8s.io",
            "version": 7,
            "objects": 2,
            "published": 0,
            "adopted": 7,
        }
    ],
    "uploaded": {"pods": 9},
}


def run(port: str, *more: str):
    return CliRunner().invoke(command, ["status", "--serve-port", port, *more])


def listening(page: object, *, status: int = 200):
    return status_listener(json.dumps(page).encode(), status=status, path="/v1/pool")


def test_role_reach_and_versions_are_printed() -> None:
    with listening(PAGE) as port:
        shown = run(port)
    assert shown.exit_code == 0
    lines = [line.split() for line in shown.output.splitlines()]
    assert ["role:", "follower"] in lines
    assert ["etcd", "reached:", "majority"] in lines
    assert ["asked", "of", "etcd:", "3", "reads,", "1", "writes,", "0", "failures"] in (
        lines
    )
    assert "the pool where it is newer" in shown.output
    assert ["endpointslices.discovery.k8s.io", "7", "2", "0", "7"] in lines
    assert ["pods", "9"] in lines
    assert "problem" not in shown.output


def test_programs_get_the_page_itself() -> None:
    with listening(PAGE) as port:
        assert json.loads(run(port, "-o", "json").output) == PAGE


def test_a_problem_is_shown_and_is_the_exit_code() -> None:
    page = PAGE | {"problem": "etcd: no member answers", "answersFrom": "disk"}
    with listening(page) as port:
        shown = run(port)
    assert shown.exit_code == 1
    assert "etcd: no member answers" in shown.output
    assert "this node's cache alone" in shown.output


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "is in no pool: see --enable-coordinator"), (500, "answers 500")],
)
def test_a_hub_that_tells_nothing(status, words) -> None:
    with listening(PAGE, status=status) as port:
        shown = run(port)
    assert shown.exit_code == 1
    assert words in shown.output


def test_no_hub_at_all() -> None:
    shown = run("1")
    assert shown.exit_code == 1
    assert "no hub answers at 127.0.0.1:1" in shown.output
