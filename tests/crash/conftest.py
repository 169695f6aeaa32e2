# SPDX-License-Identifier: Apache-2.0
import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def scratch(tmp_path: Path):
    """A directory in memory where there is one: nothing needs to survive here."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    path = memory / f"toono-{os.getpid()}-{tmp_path.name}"
    path.mkdir()
    yield path
    shutil.rmtree(path)
