# SPDX-License-Identifier: Apache-2.0
"""The defaults of a hub are YurtHub's."""

from pathlib import Path

from toono.app import HubSettings


def test_a_hub_listens_where_yurthub_does() -> None:
    settings = HubSettings(
        servers=(("127.0.0.1", 9),), tls=None, node_name="n", cache_path=Path("/x")
    )
    assert settings.listen == (("127.0.0.1", 10261),)
    assert settings.status_listen == ("127.0.0.1", 10267)
    assert (settings.lb_mode, settings.namespace) == ("rr", "kube-system")
    assert settings.listen_tls == ()
    assert settings.serving is None
