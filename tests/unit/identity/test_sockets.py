# SPDX-License-Identifier: Apache-2.0
"""The kernel's word on who owns a socket; real sockets, real processes."""

import os
import socket
import subprocess
import sys

import pytest

from toono.identity import sockets
from toono.identity.sockets import SocketLookupError, Sockets, owner_of

OWN = frozenset({os.getuid()})
CHILD = """
import encodings.idna, os, socket, sys
uid = int(sys.argv[2])
if uid != os.getuid():
    os.setuid(uid)
link = socket.create_connection((sys.argv[3], int(sys.argv[1])))
sys.stdin.read()
"""


def accepted(uid: int, host: str = "127.0.0.1"):
    """Have a child process of `uid` connect; return both addresses and the child."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    port = listener.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(port), str(uid), host], stdin=subprocess.PIPE
    )
    listener.settimeout(20)
    link, remote = listener.accept()
    listener.close()
    return link, remote[:2], link.getsockname()[:2], child


def ended(link, child) -> None:
    link.close()
    child.communicate()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_owner_of_the_client_s_end_is_found(host: str) -> None:
    link, remote, local, child = accepted(os.getuid(), host)
    owner = owner_of(remote, local, OWN)
    assert owner.uid == os.getuid()
    assert owner.cgroups
    ended(link, child)


@pytest.mark.skipif(os.getuid() != 0, reason="LOUD: only root can become another user")
def test_another_user_s_socket_is_another_user_s() -> None:
    link, remote, local, child = accepted(65534)
    other = owner_of(remote, local, OWN)
    assert (other.uid, other.cgroups) == (65534, frozenset())
    assert owner_of(remote, local, OWN | {65534}).cgroups
    ended(link, child)


def test_a_connection_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError):
        owner_of(("127.0.0.1", 1), ("127.0.0.1", 2), OWN)


def test_a_client_that_is_gone_is_an_error() -> None:
    link, remote, local, child = accepted(os.getuid())
    child.communicate()
    with pytest.raises(SocketLookupError):
        owner_of(remote, local, OWN)
    link.close()


def test_the_server_s_own_end_is_not_taken_for_the_client_s() -> None:
    """Asked from the client's side: the answer is about the client's socket."""
    link, remote, local, child = accepted(os.getuid())
    wanted = os.stat(f"/proc/self/fd/{link.fileno()}").st_ino
    _, inode, _ = sockets._ask(remote, local)
    assert inode != wanted
    ended(link, child)


def test_a_hidden_proc_is_an_error(monkeypatch, tmp_path) -> None:
    link, remote, local, child = accepted(os.getuid())
    monkeypatch.setattr(sockets, "_unified_path", lambda _: None)
    with pytest.raises(SocketLookupError):
        Sockets(proc=tmp_path)(remote, local, OWN)
    ended(link, child)


@pytest.mark.parametrize("answer", [b"", b"\0" * 16, b"\0" * 100, bytes(range(64))])
def test_an_answer_of_the_kernel_that_is_none_is_an_error(answer: bytes) -> None:
    with pytest.raises(SocketLookupError):
        sockets._read(answer, b"1234", b"a" * 16, b"b" * 16)


def test_a_unified_group_is_found_by_its_number(monkeypatch, tmp_path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu")
    pod = tmp_path / "kubepods.slice" / "pod1"
    pod.mkdir(parents=True)
    monkeypatch.setattr(sockets, "CGROUP", tmp_path)
    assert sockets._unified_path(os.stat(tmp_path).st_ino) == "/"
    assert sockets._unified_path(os.stat(pod).st_ino) == "/kubepods.slice/pod1"
    with pytest.raises(SocketLookupError):
        sockets._unified_path(1)
    assert sockets._unified_path(0) is None
