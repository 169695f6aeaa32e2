# SPDX-License-Identifier: Apache-2.0
"""Real processes, looked at from outside."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toono.identity.processes import MOUNTED, look_at

root_only = pytest.mark.skipif(
    os.getuid() != 0, reason="LOUD: only root can look into another root"
)


def test_a_process_is_seen_with_its_user_groups_and_network() -> None:
    one = look_at(os.getpid())
    assert one.owner.uid == os.geteuid()
    assert one.owner.cgroups
    assert one.same_network
    assert one.name
    assert one.token == b""


def test_a_process_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError):
        look_at(2**22 + 1)


CHILD = """
import os, sys
os.chroot(sys.argv[1])
os.chdir("/")
print("in", flush=True)
sys.stdin.read()
"""


def seen_in(root: Path):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"in\n"
        return look_at(child.pid)
    finally:
        child.communicate()


@root_only
def test_the_mounted_token_is_read_as_the_process_would(tmp_path: Path) -> None:
    file = tmp_path / "run" / MOUNTED.removeprefix("/var/run/")
    file.parent.mkdir(parents=True)
    file.write_text("a.b.c\n")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run").symlink_to("/run")  # as in every image
    assert seen_in(tmp_path).token == b"a.b.c"


@root_only
@pytest.mark.parametrize("trick", ["a link out", "a pipe", "a directory"])
def test_a_pod_s_tricks_lead_nowhere(tmp_path: Path, trick: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("the host's own")
    root = tmp_path / "root"
    file = root / MOUNTED.removeprefix("/")
    file.parent.mkdir(parents=True)
    if trick == "a link out":
        file.symlink_to(outside)
    elif trick == "a pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    assert seen_in(root).token == b""
