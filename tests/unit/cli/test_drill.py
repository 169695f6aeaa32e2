# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of a drill; against hubs: tests/scenario/test_ready."""

import json

import pytest
from click.testing import CliRunner

from toono.cli import drill
from toono.errors import OptionError

REPORT = {
    "on": True,
    "only": ["kubelet"],
    "seconds": 2.0,
    "left": 2,
    "components": [
        {
            "component": "kubelet",
            "answered": 3,
            "refused": 1,
            "rate": 0.75,
            "before": None,
        }
    ],
    "refused": [
        {
            "component": "kubelet",
            "verb": "list",
            "object": "secrets",
            "code": 503,
            "count": 1,
        }
    ],
}


@pytest.fixture
def asked(monkeypatch) -> list:
    calls = []

    def ask_hub(_, method, path, content=None):
        calls.append((method, path, content))
        looks = sum(call[1] == "/v1/drill" for call in calls)
        return REPORT | {"on": looks < 2, "left": 2 - looks}

    monkeypatch.setattr(drill, "ask_hub", ask_hub)
    monkeypatch.setattr(drill, "LOOK_SECONDS", 0.0)
    return calls


def test_it_is_looked_at_until_the_hub_ends_it_and_told(asked) -> None:
    words = ["--for", "1m30s", "--only", "kubelet"]
    shown = CliRunner().invoke(drill.command, words)
    assert shown.exit_code == 0
    begun = {"seconds": 90.0, "only": ["kubelet"]}
    assert asked[0] == ("POST", "/v1/drill/start", begun)
    assert [one[1] for one in asked[1:]] == ["/v1/drill", "/v1/drill", "/v1/drill/stop"]
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0] == ["cut", "off", "for", "2.0", "s:", "kubelet"]
    assert ["kubelet", "3", "1", "75%"] in lines
    assert ["kubelet", "list", "secrets", "503", "1"] in lines


def test_json_is_the_report_itself(asked) -> None:
    shown = CliRunner().invoke(drill.command, ["--for", "1s", "-o", "json"])
    assert json.loads(shown.stdout)["components"] == REPORT["components"]


def test_ctrl_c_ends_it(asked, monkeypatch) -> None:
    def interrupted(*_, **__) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(drill, "_wait", interrupted)
    shown = CliRunner().invoke(drill.command, ["--for", "1h"])
    assert shown.exit_code == 0
    assert asked[-1] == ("POST", "/v1/drill/stop", None)
    assert "cut off for" in shown.stdout


def test_a_time_that_cannot_be_read_begins_nothing(asked) -> None:
    shown = CliRunner().invoke(drill.command, ["--for", "soon"])
    assert isinstance(shown.exception, OptionError)
    assert asked == []
