# SPDX-License-Identifier: Apache-2.0
"""The committed field numbers are those that the generator makes of the table."""

import importlib.util
import json
from pathlib import Path

from tests.contract.recordings import WIRE

from toono.codec import paths

ROOT = Path(__file__).parents[3]


def test_the_committed_table_is_the_generated_one() -> None:
    script = ROOT / "scripts" / "generate_paths.py"
    spec = importlib.util.spec_from_file_location("generate_paths", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fields = json.loads((WIRE / "protobuf-fields.json").read_text())
    generated: dict[str, object] = {}
    exec(module.generate(fields), generated)
    assert generated["PATHS"] == paths.PATHS
    assert paths.PATHS["v1", "Pod", "spec.nodeName"] == ((2, 10), "string")
