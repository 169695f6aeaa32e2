# SPDX-License-Identifier: Apache-2.0
"""The mapper's own file."""

import os
import stat

import pytest

from toono.restmapper import persist
from toono.restmapper.persist import (
    Kept,
    KeptPage,
    identity_in,
    read,
    replace_file,
    write,
)

KEPT = Kept("here", b"{}", True, (KeptPage("/api", "", "", "json", "e", b"body"),))


def test_what_was_written_is_read(tmp_path):
    file = tmp_path / "below" / "discovery"
    write(file, KEPT)
    assert read(file, "here") == KEPT
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_no_file_is_nothing_and_no_warning(tmp_path, caplog):
    assert read(tmp_path / "none", "here") is None
    assert not caplog.records


def test_a_file_of_another_cluster_is_nothing(tmp_path):
    write(tmp_path / "file", KEPT)
    assert read(tmp_path / "file", "there") is None


def test_any_byte_changed_is_noticed(tmp_path):
    file = tmp_path / "file"
    write(file, KEPT)
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(
            content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        )
        assert read(file, "here") is None


def test_a_huge_file_is_not_read(tmp_path, monkeypatch, caplog):
    file = tmp_path / "file"
    write(file, KEPT)
    monkeypatch.setattr(persist, "MAX_FILE_BYTES", 10)
    assert read(file, "here") is None
    assert caplog.records[0].reason == "too large"


def test_what_a_killed_write_left_is_swept(tmp_path):
    file = tmp_path / "file"
    (tmp_path / ".file.123-abc.new").write_bytes(b"half")
    write(file, KEPT)
    assert read(file, "here") == KEPT
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, call
):
    file = tmp_path / "file"
    write(file, KEPT)

    def full(*_):
        raise OSError(28, "no space left on device")

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(type(file), "replace", full)
    with pytest.raises(OSError, match="no space"):
        replace_file(file, b"new")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == [file]
    assert read(file, "here") == KEPT


def test_whose_file_it_is_can_be_read(tmp_path):
    file = tmp_path / "file"
    assert identity_in(file) is None
    write(file, KEPT)
    assert identity_in(file) == "here"
    file.write_bytes(file.read_bytes()[:-1])
    assert identity_in(file) is None
