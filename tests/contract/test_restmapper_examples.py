# SPDX-License-Identifier: Apache-2.0
"""The examples run as they stand, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "restmapper"


@pytest.mark.parametrize("transport", ["toono", "kubernetes", "kr8s", "httpx"])
def test_the_seed_scenario_over(transport):
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"over_{transport}.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "started:           v1 drivers",
        "without a version: v2 riders",
        "with the version:  v2 riders",
        "requests:          1",
    ]
