# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from toono.cache.tree_disk import TreeDisk

DISK = TreeDisk()


@pytest.fixture
def root(tmp_path):
    descriptor = DISK.open_root(tmp_path)
    yield descriptor
    DISK.close(descriptor)


def put(root: int, name: str, content: bytes) -> None:
    file = DISK.create(name, root)
    DISK.write(file, content)
    DISK.sync(file)
    DISK.close(file)
    DISK.sync_directory(root)


def test_what_is_written_is_read(root, tmp_path) -> None:
    put(root, "a", b"content")
    assert DISK.read("a", root, 100) == b"content"
    assert DISK.read("a", root, 3) == b"cont"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    DISK.rename("a", root, "b", root)
    assert not DISK.exists("a", root)
    assert DISK.exists("b", root)
    DISK.unlink("b", root)
    assert DISK.read("b", root, 100) is None


def test_a_file_that_is_there_is_not_written_to(root) -> None:
    put(root, "a", b"1")
    with pytest.raises(FileExistsError):
        DISK.create("a", root)


def test_no_link_is_followed(root, tmp_path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "file").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "leaf").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="link"):
        DISK.open_directory("link", root)
    with pytest.raises(FileExistsError):
        DISK.create("leaf", root)
    assert DISK.read("leaf", root, 100) is None
    assert DISK.exists("leaf", root)
    assert DISK.entries(root) == (["real"], ["file", "leaf", "link"])


def test_a_pipe_is_not_waited_for(root, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert DISK.read("pipe", root, 100) is None


def test_directories_are_the_owner_s(root, tmp_path) -> None:
    DISK.make_directory("d", root)
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700
    DISK.close(DISK.open_directory("d", root))
    DISK.remove_directory("d", root)
    assert not DISK.exists("d", root)


def test_all_of_it_is_written_in_however_many_pieces(root, monkeypatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda file, view: whole(file, view[:3]))
    put(root, "a", b"0123456789")
    assert DISK.read("a", root, 100) == b"0123456789"
