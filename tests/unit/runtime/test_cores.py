# SPDX-License-Identifier: Apache-2.0
import resource
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import os, resource, sys
from toono.runtime.cores import leave_no_core
if sys.argv[1] == "told":
    assert leave_no_core()
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
os.abort()
"""


def left_by(how: str, directory: Path) -> list[Path]:
    def allow_cores() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    directory.mkdir()
    subprocess.run(
        [sys.executable, "-c", CHILD, how],
        cwd=directory,
        preexec_fn=allow_cores,
        capture_output=True,
        check=False,
    )
    return list(directory.iterdir())


def test_a_process_that_aborts_leaves_no_core(tmp_path) -> None:
    assert left_by("told", tmp_path / "told") == []
    if not left_by("not told", tmp_path / "not told"):
        pytest.skip("LOUD: this machine writes no cores into the working directory")
