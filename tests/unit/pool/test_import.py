# SPDX-License-Identifier: Apache-2.0
"""Without a pool nothing of it costs anything."""

import subprocess
import sys


def test_a_hub_that_runs_without_a_pool_has_no_part_of_it(tmp_path):
    """Not a module, not a task, not a series, not a page."""
    code = f"""
import asyncio, sys
from pathlib import Path
from toono.app import Hub, HubSettings
settings = HubSettings(
    servers=(("127.0.0.1", 9),), tls=None, node_name="edge-1",
    cache_path=Path({str(tmp_path)!r}), listen=(("127.0.0.1", 0),),
    status_listen=("127.0.0.1", 0),
)
async def main():
    async with Hub(settings) as hub:
        await asyncio.sleep(0.05)
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert not [name for name in names if "pool" in name or "etcd" in name]
        assert b"toono_pool" not in hub.metrics.text()
        assert "/v1/pool" not in hub.board.pages and hub.pooling is None
asyncio.run(main())
print([name for name in sys.modules if name.startswith("toono.pool")
       or "etcd" in name or name == "toono.app.pooling" or "component_keys" in name])
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"


def test_a_hub_without_a_pool_imports_nothing_of_it():
    code = (
        "import sys, toono.app, toono.cli.run\n"
        "found = [name for name in sys.modules if name.startswith('toono.pool')"
        " or 'etcd' in name or name == 'toono.store.component_keys']\n"
        "print(found)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"
