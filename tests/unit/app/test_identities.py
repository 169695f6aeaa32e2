# SPDX-License-Identifier: Apache-2.0
"""The node's own name and uids decide; what is kept now decides what is asked ahead."""

import asyncio
from pathlib import Path

from toono.app import HubSettings
from toono.app.board import Board
from toono.app.identities import ask_ahead, open_rights
from toono.identity.rows import Question
from toono.identity.sockets import owner_of
from toono.identity.tokens import read_key_set
from toono.store.memory import MemoryStore
from toono.testing.apiserver.tokens import TokenKeys
from toono.testing.clock import VirtualClock


def settings() -> HubSettings:
    return HubSettings(
        servers=(("127.0.0.1", 9),),
        tls=None,
        node_name="edge-1",
        cache_path=Path("/nowhere"),
        node_uids=frozenset({0, 7}),
    )


def test_rights_are_opened_for_this_node_and_asked_ahead_for() -> None:
    async def scenario() -> None:
        clock, board = VirtualClock(), Board()
        rights = await open_rights(
            settings(),
            MemoryStore(),
            clock=clock,
            owner=owner_of,
            keeps=lambda _: False,
        )
        assert rights.settings.node_name == "edge-1"
        assert rights.settings.node_uids == {0, 7}
        assert rights.learned is None
        ahead = ask_ahead(rights, board, None, clock=clock)
        assert rights.learned is not None
        assert [name for name, _ in board.duties] == ["ask-ahead"]
        assert board.notes["token-keys"]() == ""
        ahead.lacks = "get /openid/v1/jwks"
        assert board.notes["token-keys"]() == "no caller may get /openid/v1/jwks"
        shown = {name: read for name, _, read in board.gauges}
        assert shown["toono_token_keys"]() == shown["toono_identities"]() == 0
        keys = TokenKeys(algorithm="ES256")
        rights.verifier.use(read_key_set(keys.issuer, keys.jwks()))
        rights.book.put("a", Question("list", "", "pods"), allowed=True, at=1.0)
        assert shown["toono_token_keys"]() == shown["toono_identities"]() == 1

    asyncio.run(scenario())
