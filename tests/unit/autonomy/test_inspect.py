# SPDX-License-Identifier: Apache-2.0
import asyncio
from pathlib import Path

import pytest

from tests.unit.autonomy.spool_kit import event, pod_status, put
from toono.autonomy.inspect import waiting
from toono.autonomy.spool import Spool
from toono.errors import StoreUnavailableError
from toono.runtime.clock import SystemClock
from toono.store.base import Batch
from toono.store.sqlite import NAME, open_store


def test_what_waits_is_read_in_order_beside_a_hub(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await open_store(tmp_path, clock=SystemClock())
        spool = Spool(store)
        for write in (event("a"), pod_status("web")):
            await put(spool, write)
        await store.apply(Batch(puts=[(b"wx", b"no"), (b"w" + b"9" * 8, b"no")]))
        found = list(waiting(tmp_path / NAME))
        assert found == [(1, event("a")), (2, pod_status("web"))]
        await store.aclose()

    asyncio.run(scenario())


def test_where_no_hub_has_run_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        list(waiting(tmp_path / NAME))
