# SPDX-License-Identifier: Apache-2.0
"""A listener that cannot be bound says which option chose it."""

import pytest

from tests.rig import QUICK
from tests.unit.wire.kit import play, refuse
from toono.app import Hub, HubSettings
from toono.errors import OptionError
from toono.runtime.clock import SystemClock
from toono.wire.server import Server


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
