# SPDX-License-Identifier: Apache-2.0
"""A listener that cannot be bound says which option chose it."""

from pathlib import Path

import pytest

from tests.rig import QUICK, hub_over, until
from tests.unit.app.test_dummy import Link
from tests.unit.wire.kit import play, refuse
from toono.app import Hub, HubSettings
from toono.app.board import Board
from toono.app.listening import PodsDoor
from toono.certs.files import Root
from toono.config.certificates import CertificateSettings
from toono.errors import OptionError
from toono.filters.base import Door
from toono.filters.inputs import Surroundings
from toono.runtime.clock import SystemClock
from toono.testing.certificates import Authority
from toono.wire.server import Server
from toono.wire.tls import ServerFiles


def test_a_port_in_use_names_the_option_and_leaves_nothing_open(tmp_path) -> None:
    async def scenario() -> None:
        taken = Server(lambda _: None, refuse=refuse, clock=SystemClock())
        address = await taken.start("127.0.0.1", 0)
        for option, settings in (
            ("--proxy-port", {"listen": (address,), "status_listen": None}),
            ("--serve-port", {"listen": (("127.0.0.1", 0),), "status_listen": address}),
        ):
            chosen = HubSettings(
                servers=(("127.0.0.1", 9),),
                tls=None,
                node_name="edge-1",
                cache_path=tmp_path,
                health=QUICK,
                **settings,
            )
            with pytest.raises(OptionError) as caught:
                await Hub(chosen).__aenter__()
            assert caught.value.option == option
            host, port = address
            said = f"{host}:{port} cannot be listened on: address already in use"
            assert caught.value.problem == said
        await taken.aclose()

    play(scenario)


def serving(tmp_path: Path) -> ServerFiles:
    authority = Authority(tmp_path / "pki")
    pair = authority.server("127.0.0.1", "127.0.0.2")
    return ServerFiles(
        certificate=pair.certificate, key=pair.key, client_ca=authority.file
    )


def test_interface_s_address_is_listened_on_as_soon_as_it_is_there(tmp_path) -> None:
    async def scenario() -> None:
        link = Link("hub-dummy0", "127.0.0.2")
        told: list[bool] = []
        settings = {
            "dummy": link,
            "serving": serving(tmp_path),
            "listen_tls": (("127.0.0.1", 0),),
            "surroundings": Surroundings(door=Door("127.0.0.2", 10268)),
        }
        async with hub_over([("127.0.0.1", 9)], tmp_path / "c", **settings) as hub:
            hub.board.door.append(told.append)
            await until(lambda: len(hub.tls_addresses) == 2, 30)
            for places in (hub.addresses, hub.tls_addresses):
                assert [host for host, _ in places] == ["127.0.0.1", "127.0.0.2"]
            assert told == [True]
            for _ in range(2):
                link.there = False  # it comes again, and is bound already
                assert await hub._dummy.ensure()
            assert len(hub.addresses) == len(hub.tls_addresses) == 2
        assert link.removed == 1

    play(scenario)


def test_address_that_is_listened_on_anyway_is_not_bound_twice(tmp_path) -> None:
    async def scenario() -> None:
        link = Link("hub-dummy0", "127.0.0.1")
        link.there = True
        settings = {"dummy": link, "listen_tls": (("127.0.0.1", 0),)}
        async with hub_over([("127.0.0.1", 9)], tmp_path, **settings) as hub:
            assert len(hub.addresses) == 1
            assert hub.tls_addresses == []

    play(scenario)


def test_port_taken_on_the_interface_is_said_and_tried_again(
    tmp_path, caplog, monkeypatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("toono.app.dummy.TRY_SECONDS", 0.02)
        taken = Server(lambda _: None, refuse=refuse, clock=SystemClock())
        _, port = await taken.start("127.0.0.2", 0)
        link = Link("hub-dummy0", "127.0.0.2")
        link.there = True
        settings = {"dummy": link, "listen": (("127.0.0.1", port),)}
        async with hub_over([("127.0.0.1", 9)], tmp_path, **settings) as hub:
            assert len(hub.addresses) == 1
            said = hub.board.notes["dummy-interface"]
            assert "127.0.0.2" in said()
            await taken.aclose()
            await until(lambda: not said(), 30)
            assert len(hub.addresses) == 2

    play(scenario)
    assert caplog.text.count("pods cannot call this hub") == 1


def test_pods_come_in_once_the_certificate_does(tmp_path) -> None:
    async def scenario() -> None:
        given, root = serving(tmp_path), Root(tmp_path / "root")
        awaited = root.current("yurthub-server")
        awaited.parent.mkdir(parents=True)
        settings = HubSettings(
            servers=(),
            tls=None,
            node_name="edge-1",
            cache_path=tmp_path,
            listen_tls=(("127.0.0.1", 0),),
            serving=ServerFiles(certificate=awaited, key=awaited),
            certificates=CertificateSettings(root=root, serving=True),
            surroundings=Surroundings(door=Door("127.0.0.1", 10268)),
        )
        board, told = Board(), []
        board.door.append(told.append)
        server = Server(lambda _: None, refuse=refuse, clock=SystemClock())
        door = PodsDoor(server, settings, board, clock=SystemClock())
        await door.open()
        await door.add("127.0.0.2")
        assert (door.bound, told) == ([], [])
        content = given.certificate.read_bytes() + given.key.read_bytes()
        awaited.write_bytes(content)
        await door.certificate_changed()
        assert [host for host, _ in door.bound] == ["127.0.0.1", "127.0.0.2"]
        await door.certificate_changed()
        assert (len(door.bound), told) == (2, [True])
        assert board.notes["pods-door"]() == ""
        await server.aclose()

    play(scenario)
