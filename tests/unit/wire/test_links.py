# SPDX-License-Identifier: Apache-2.0
"""What it makes is in test_dummy.py; here is what it costs who does not need it."""

import subprocess
import sys

from toono.wire import links


def test_hub_imports_no_pyroute2() -> None:
    look = "import sys, toono.cli.run; print('pyroute2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]


def test_library_that_is_not_installed_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyroute2", None)
    told = links.run(links.HAVE, "x0", "169.254.2.1", "dummy")
    assert told.lacks == "pyroute2"


def test_machine_without_netlink_is_said(monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pyroute2.IPRoute", refuse)
    assert links.run(links.HAVE, "x0", "169.254.2.1", "dummy").code == 1
