# SPDX-License-Identifier: Apache-2.0
"""The full counts of the bars, which `make test` runs in small.

make prove            takes about an hour; writes bench/results/prove.md
"""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).parent / "results"


class Bar(NamedTuple):
    """One proof: what it shows, the tests that do, and how many times."""

    what: str
    tests: str
    variables: dict[str, str]


BARS = (
    Bar(
        "scope model: 100,000 random runs against the server's history",
        "tests/scenario/test_scope_model.py",
        {"TOONO_SCOPE_RUNS": "100000"},
    ),
    Bar(
        "kill -9 under load, 100 cycles",
        "tests/crash/test_hub_kill.py",
        {"TOONO_KILLS": "100"},
    ),
    Bar("crash states of the store, 200,000", "tests/crash", {"TOONO_PROVE": "1"}),
    Bar("every recorded exchange", "tests/scenario/test_exchanges.py", {}),
    Bar("a recorded kubelet boots twice", "tests/scenario/test_kubelet_boot.py", {}),
    Bar(
        "the Python client's informer, cut off for 90 seconds",
        "tests/interop/test_informer.py",
        {"TOONO_INFORMER_SECONDS": "90"},
    ),
    Bar("must-reject vectors", "tests/unit/wire/test_gate.py", {}),
    Bar("fuzz, 20 times the usual counts", "tests/fuzz", {"TOONO_PROVE": "20"}),
)


def prove(bar: Bar) -> tuple[str, float]:
    """Run one bar; return pytest's closing line and the seconds it took."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-o", "timeout=3600", bar.tests]
    done = subprocess.run(
        command,
        env=os.environ | bar.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode:
        print(done.stdout)
    return lines[-1] if lines else "no output", time.perf_counter() - start


def main() -> int:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    rows = [
        "# Proofs",
        "",
        f"`make prove`, {time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit},"
        f" Python {platform.python_version()}, {os.cpu_count()} cores.",
        "",
        "| Bar | Result | Seconds |",
        "|---|---|---|",
    ]
    failed = False
    for bar in BARS:
        closing, seconds = prove(bar)
        failed = failed or "failed" in closing or "error" in closing
        rows.append(f"| {bar.what} | {closing} | {seconds:.0f} |")
        print(rows[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "prove.md").write_text("\n".join(rows) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
