# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of readiness; against hubs: tests/scenario/test_ready."""

import json

import pytest
from click.testing import CliRunner

from toono.cli import ready

FINDING = {
    "workload": "shop/[web]-0",
    "level": "lost",
    "reason": "never_seen",
    "what": "secrets shop/password: never seen",
    "remedy": "toono ready --prefetch",
}
BAD = {"ready": False, "lookedAt": 1.0, "findings": [FINDING]}
GOOD = {"ready": True, "lookedAt": 1.0, "findings": []}


@pytest.fixture
def asked(monkeypatch) -> list:
    calls = []

    def ask_hub(address, method, path, *, timeout):
        calls.append((address, method, path, timeout))
        return BAD if path == "/v1/ready" else GOOD

    monkeypatch.setattr(ready, "ask_hub", ask_hub)
    return calls


def test_findings_are_a_table_and_exit_one(asked) -> None:
    shown = CliRunner().invoke(ready.command, ["--serve-port", "1"])
    assert shown.exit_code == 1
    lines = [line.split() for line in shown.output.splitlines()]
    assert lines[0] == ["WORKLOAD", "LEVEL", "WHAT", "REMEDY"]
    assert lines[1][:3] == ["shop/[web]-0", "lost", "secrets"]
    assert shown.output.endswith("not ready for a cut\n")
    assert asked == [(("127.0.0.1", 1), "POST", "/v1/ready", 60.0)]


def test_prefetch_has_time_and_exits_zero_when_ready(asked) -> None:
    shown = CliRunner().invoke(ready.command, ["--prefetch"])
    assert (shown.exit_code, shown.output) == (0, "ready for a cut\n")
    assert asked[0][2:] == ("/v1/ready/prefetch", ready.PREFETCH_SECONDS)


def test_json_is_the_page_itself(asked) -> None:
    shown = CliRunner().invoke(ready.command, ["-o", "json"])
    assert (shown.exit_code, json.loads(shown.output)) == (1, BAD)
