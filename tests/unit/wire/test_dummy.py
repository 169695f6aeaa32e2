# SPDX-License-Identifier: Apache-2.0
"""What is said and when the program is run; the kernel itself is asked in
tests/scenario/test_interface.py."""

import errno
import subprocess
import sys

import pytest

from toono.errors import OptionError
from toono.wire import dummy
from toono.wire.dummy import DummyLink, is_local
from toono.wire.links import Told


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (Told(code=errno.EPERM), "give the hub CAP_NET_ADMIN"),
        (Told(code=errno.ETIMEDOUT), "timed out.*make it by hand"),
        (Told(lacks="pyroute2"), "pyroute2 is not installed.*install it"),
        (Told(taken="eth0"), "another interface's of this machine already: eth0"),
    ],
)
def test_what_is_in_the_way_is_said_with_what_to_do(monkeypatch, told, said):
    monkeypatch.setattr("toono.wire.dummy._run", lambda *_: told)
    with pytest.raises(OptionError, match=said):
        DummyLink("no-such-link0", "169.254.2.1").ensure()


def test_address_of_nobody_is_not_local():
    assert is_local("127.0.0.1")
    assert not is_local("192.0.2.1")
    assert not is_local("2001:db8::1")


def test_what_is_there_needs_no_program(monkeypatch):
    monkeypatch.setattr("toono.wire.dummy._run", lambda *_: pytest.fail("run"))
    link = DummyLink("lo", "127.0.0.1")
    assert link.is_there
    assert not link.ensure()
    assert link.on == "lo"


def test_only_what_was_had_is_removed_and_nothing_is_made_after_it(monkeypatch):
    asked = []
    monkeypatch.setattr("toono.wire.dummy._run", lambda what, _: asked.append(what))
    DummyLink("no-such-link0", "192.0.2.1").remove()
    assert asked == []
    link = DummyLink("lo", "127.0.0.1")
    link.ensure()
    link.remove()
    assert asked == ["drop"]
    link.name = link.on = "no-such-link0"
    assert not link.ensure()
    assert asked == ["drop"]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (FileNotFoundError(errno.ENOENT, "no python"), errno.ENOENT),
        (subprocess.TimeoutExpired("links", 20), errno.ETIMEDOUT),
        (subprocess.CalledProcessError(1, "links"), errno.EIO),
        (b"no json", errno.EIO),
    ],
)
def test_program_that_fails_is_no_interface(monkeypatch, outcome, code):
    def run(command, **_):
        assert command[0] == sys.executable
        assert command[-4:] == ["have", "no-such-link0", "192.0.2.1", "dummy"]
        if isinstance(outcome, bytes):
            return subprocess.CompletedProcess(command, 0, outcome, b"")
        raise outcome

    monkeypatch.setattr(dummy.subprocess, "run", run)
    assert dummy._run("have", DummyLink("no-such-link0", "192.0.2.1")).code == code
