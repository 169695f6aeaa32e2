# SPDX-License-Identifier: Apache-2.0
from contextlib import AsyncExitStack
from pathlib import Path

from toono.app.board import Board
from toono.app.dummy import open_dummy
from toono.app.settings import HubSettings
from toono.certs.files import Root
from toono.config.certificates import CertificateSettings
from toono.errors import OptionError
from toono.filters.approval import OF_THE_DOOR
from toono.filters.base import Door
from toono.filters.inputs import Surroundings
from toono.testing.clock import VirtualClock
from toono.wire.dummy import DummyLink
from toono.wire.tls import ServerFiles


class Link(DummyLink):
    """One whose kernel does as the test says."""

    refuses = False
    ensured = removed = 0

    def ensure(self) -> bool:
        self.ensured += 1
        if self.refuses:
            raise OptionError("--enable-dummy-if", "no right", "give it")
        return self.ensured == 1

    def remove(self) -> None:
        self.removed += 1


def settings(link, **more) -> HubSettings:
    pem = Path("/pki/yurthub-server-current.pem")
    values = {
        "servers": (),
        "tls": None,
        "node_name": "edge-1",
        "cache_path": Path("/cache"),
        "listen": (("127.0.0.1", 10261),),
        "listen_tls": (("127.0.0.1", 10268),),
        "serving": ServerFiles(certificate=pem, key=pem),
        "certificates": CertificateSettings(root=Root(Path("/")), serving=True),
        "surroundings": Surroundings(door=Door("169.254.2.1", 10268)),
        "filters_off": frozenset(),
        "dummy": link,
    }
    return HubSettings(**(values | more))


def opened(chosen: HubSettings) -> tuple[HubSettings, Board]:
    board = Board()
    clock, stack = VirtualClock(), AsyncExitStack()
    return open_dummy(chosen, board, clock=clock, stack=stack), board


def test_listeners_are_added_on_its_address() -> None:
    found, board = opened(settings(Link("hub-dummy0", "169.254.2.1")))
    assert found.listen == (("127.0.0.1", 10261), ("169.254.2.1", 10261))
    assert found.listen_tls == (("127.0.0.1", 10268), ("169.254.2.1", 10268))
    assert [name for name, _ in board.duties] == ["dummy-interface"]
    assert board.notes["dummy-interface"]() == ""


def test_address_that_is_listened_on_anyway_is_not_bound_twice() -> None:
    link = Link("hub-dummy0", "169.254.2.1")
    found, _ = opened(settings(link, listen=(("169.254.2.1", 10261),)))
    assert found.listen == (("169.254.2.1", 10261),)


def test_without_it_the_hub_runs_and_nothing_leads_pods_to_it(caplog) -> None:
    link = Link("hub-dummy0", "169.254.2.1")
    link.refuses = True
    found, board = opened(settings(link))
    assert found.listen == (("127.0.0.1", 10261),)
    assert found.serving is None
    assert not found.certificates.serving
    assert found.surroundings.door is None
    assert found.filters_off == OF_THE_DOOR
    assert "no right" in board.notes["dummy-interface"]()
    assert "pods cannot call" in caplog.text
    assert board.duties == []


def test_given_certificate_stays_without_it() -> None:
    link = Link("hub-dummy0", "169.254.2.1")
    link.refuses = True
    given = CertificateSettings(root=Root(Path("/")), serving=False)
    assert opened(settings(link, certificates=given))[0].serving is not None


def test_hub_without_one_is_as_it_was() -> None:
    chosen = settings(None)
    assert opened(chosen)[0] is chosen
