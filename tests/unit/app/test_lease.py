# SPDX-License-Identifier: Apache-2.0
"""The keeper of the Lease shows what it does, and stands before the kubelet's calls."""

import pytest

from tests.rig import ask, get, hub_over, status_of
from tests.unit.app.kit import hubs
from tests.unit.wire.kit import play
from toono.autonomy.lease import State
from toono.autonomy.renewal import LEASES

LEASE = f"{LEASES}/edge-1"


@pytest.mark.parametrize(
    ("mode", "state", "evidence"),
    [
        ("auto", State.LOOKING, "it starts"),
        ("always", State.RENEWING, "--lease-interception=always"),
        ("never", State.SILENT, "--lease-interception=never"),
    ],
)
def test_the_mode_of_the_options_is_obeyed_and_shown(
    mode, state, evidence, tmp_path
) -> None:
    async def scenario() -> None:
        nobody = [("127.0.0.1", 9)]
        async with hub_over(nobody, tmp_path, lease_interception=mode) as hub:
            duty = hub.chain.lease.keeper.duty
            assert duty.state is state
            said = hub.board.facts["lease"]()
            assert said.startswith(f"{state.value}: {evidence}")
            gauges = {name: read for name, _, read in hub.board.gauges}
            assert gauges["toono_lease_renewing"]() == float(mode == "always")
            for name in ("renewals", "conflicts", "foreign_renewals"):
                assert gauges[f"toono_lease_{name}"]() == 0.0
            assert gauges["toono_lease_failures"]() >= 0.0
            assert "lease" in {name for name, _ in hub.board.duties}

    play(scenario)


def test_calls_about_the_lease_of_this_node_pass_the_gate(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, lease_interception="always") as (cloud, hub):
            hub.chain.lease.keeper._content = b'{"kind":"Lease"}'
            answer = await ask(hub, get(LEASE))
            assert status_of(answer) == 200
            assert answer.endswith(b'{"kind":"Lease"}')
            await ask(hub, get(f"{LEASES}/edge-2"))
            assert f"{LEASES}/edge-2".encode() in cloud.asked

    play(scenario)


def test_no_pod_is_answered_about_the_lease(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, lease_interception="always") as (_, hub):
            hub.chain.lease.keeper._content = b'{"kind":"Lease"}'
            given = get(LEASE).replace(
                b"\r\n\r\n", b"\r\nAuthorization: Bearer x\r\n\r\n"
            )
            assert b'{"kind":"Lease"}' not in await ask(hub, given)

    play(scenario)
