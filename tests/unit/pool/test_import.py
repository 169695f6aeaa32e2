# SPDX-License-Identifier: Apache-2.0
"""Without a pool nothing of it costs anything."""

import subprocess
import sys


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
