# SPDX-License-Identifier: Apache-2.0
"""The full counts of the bars, which `make test` runs in small.

make prove                          all of them, one after the other: about two hours
python -m bench.prove --only NAME   one or some, by their names
python -m bench.prove --list        the names

Each bar is told as it ends and goes into bench/results/prove.md, in which rows of other
runs stay as they were, with the commit and the time of each.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).parent / "results" / "prove.md"
ROOT = Path(__file__).parent.parent
MODEL_RUNS = 100_000
MODEL_SHARES = 20
"""A run of the scope model forgets nothing until it ends: many small ones."""


TELL_SECONDS = 15.0


class Bar(NamedTuple):
    """One proof: its name, what it shows, the tests that do, and how many times."""

    name: str
    what: str
    tests: str
    variables: Mapping[str, str] = {}
    shares: int = 1
    """In how many runs of their own."""
    stride: int = 1
    """How far apart the TOONO_SEED of those are."""


BARS = (
    Bar(
        "scopes",
        f"scope model: {MODEL_RUNS:,} random runs against the server's history",
        "tests/scenario/test_scope_model.py",
        {"TOONO_SCOPE_RUNS": str(MODEL_RUNS // MODEL_SHARES)},
        MODEL_SHARES,
        MODEL_RUNS // MODEL_SHARES,
    ),
    Bar(
        "kills",
        "kill -9 of the hub under load with 8 clients, 100 cycles",
        "tests/crash/test_hub_kill.py",
        {"TOONO_KILLS": "100"},
    ),
    Bar(
        "again",
        "GETs asked again against the long way: 2,000 random scripts",
        "tests/scenario/test_again_model.py",
        {"TOONO_AGAIN_RUNS": "2000"},
    ),
    Bar(
        "hubs",
        "whole hubs of a pool, leader and etcd killed, leader paused: 200 cycles",
        "tests/crash/test_pool_kill.py",
        {"TOONO_KILLS": "200"},
    ),
    Bar(
        "spool",
        "1,000 spooled events land within 10 s, and no status after a newer one",
        "tests/scenario/test_spool.py",
        {"TOONO_PROVE": "1"},
    ),
    Bar(
        "spool-kills",
        "kill -9 of a hub that spools or replays 1,000 events, 30 times",
        "tests/crash/test_spool_kill.py",
        {"TOONO_KILLS": "30", "TOONO_SPOOLED": "1000"},
    ),
    Bar(
        "boot",
        "110 pods boot cut off within 2 s, on a machine at rest",
        "tests/scenario/test_full_node.py",
        {"TOONO_PROVE": "1"},
    ),
    Bar(
        "store",
        "crash states of the store: 200,000, no two alike",
        "tests/crash/test_store_explorer.py",
        {"TOONO_CRASH_STATES": "200000"},
    ),
    Bar(
        "cache",
        "crash states of the whole cache: 200,000",
        "tests/crash/test_cache_explorer.py",
        {"TOONO_CACHE_STATES": "200000"},
    ),
    Bar(
        "faults",
        "faults put in on purpose, in the store and above it: each is seen",
        "tests/crash/test_store_faults.py tests/crash/test_cache_faults.py",
    ),
    Bar(
        "disk",
        "failing calls of the disk, all with all; a full one; bad bytes, 10,000;"
        " 500 kills",
        "tests/crash/test_store_failing_calls.py tests/crash/test_store_full_disk.py"
        " tests/crash/test_store_bad_bytes.py"
        " tests/crash/test_store_kill.py",
        {"TOONO_PROVE": "1"},
    ),
    Bar(
        "tree",
        "kill -9 while the tree is written, 100; a power cut in each of its steps",
        "tests/crash/test_tree_kill.py tests/crash/test_tree_power.py",
        {"TOONO_PROVE": "1"},
    ),
    Bar(
        "pool",
        "the pool's parts, leader and etcd killed and paused in all combinations: 200",
        "tests/crash/test_etcd_pool.py",
        {"TOONO_KILLS": "200"},
    ),
    Bar(
        "components",
        "hub and etcd killed at every step of a component's list; 200 by chance",
        "tests/crash/test_etcd_kill.py",
        {"TOONO_KILLS": "200"},
    ),
    Bar(
        "mapper",
        "REST mapper: every case, and 20 times the interleavings",
        "tests/unit/restmapper tests/contract/test_restmapper_offline_clients.py",
        {"TOONO_PROVE": "20"},
    ),
    Bar("exchanges", "every recorded exchange", "tests/scenario/test_exchanges.py"),
    Bar(
        "kubelet",
        "a recorded kubelet boots twice",
        "tests/scenario/test_kubelet_boot.py",
    ),
    Bar(
        "lease",
        "one writer on the node's Lease, an hour of virtual time in every order",
        "tests/unit/autonomy/test_lease.py",
        {"TOONO_PROVE": "1"},
    ),
    Bar(
        "leases",
        "one writer on the node's Lease, three minutes, the hub as a process",
        "tests/scenario/test_lease_shapes.py",
        {"TOONO_LEASE_SECONDS": "180"},
    ),
    Bar(
        "informer",
        "the Python client's informer, cut off for 90 seconds",
        "tests/interop/test_informer.py",
        {"TOONO_INFORMER_SECONDS": "90"},
    ),
    Bar("gate", "must-reject vectors", "tests/unit/wire/test_gate.py"),
    Bar("identity", "the identity grid", "tests/scenario/test_identity_grid.py"),
    Bar(
        "rights",
        "the model of who may what while cut off: 12,000 random stories",
        "tests/unit/identity/test_rights_model.py",
        {"TOONO_PROVE": "200"},
    ),
    Bar(
        "fuzz",
        "fuzz and codecs, 20 times the usual counts",
        "tests/fuzz tests/contract/test_codec.py",
        {"TOONO_PROVE": "20"},
    ),
)


class Outcome(NamedTuple):
    """How a bar ended."""

    bar: Bar
    passed: bool
    counts: Mapping[str, int]
    seconds: float
    commit: str

    @property
    def row(self) -> str:
        told = ", ".join(f"{number} {what}" for what, number in self.counts.items())
        verdict = "holds" if self.passed else "FAILED"
        return (
            f"| {self.bar.name} | {self.bar.what} | {verdict} | {told}"
            f" | {self.seconds:,.0f} | {self.commit} |"
        )


def commands(bar: Bar) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the runs of a bar: commands, and variables of the environment."""
    command = [sys.executable, "-m", "pytest", "-v", "-o", "timeout=7200"]
    for share in range(bar.shares):
        seed = {"TOONO_SEED": str(share * bar.stride)} if bar.shares > 1 else {}
        yield [*command, *bar.tests.split()], {**bar.variables, **seed}


def prove(bar: Bar) -> Outcome:
    """Run one bar and tell how it goes."""
    start = time.perf_counter()
    counts: Counter[str] = Counter()
    passed = True
    for number, (command, variables) in enumerate(commands(bar), 1):
        share = f", run {number} of {bar.shares}" if bar.shares > 1 else ""
        code, output = follow(command, variables, f"  {bar.name}{share}")
        passed = passed and code == 0
        if code:
            print(output, flush=True)
        closing = output.strip().strip("= ").rpartition("\n")[2].partition(" in ")[0]
        for many, what in re.findall(r"(\d+) ([a-z]+)", closing):
            counts[what] += int(many)
    return Outcome(bar, passed, counts, time.perf_counter() - start, commit())


def follow(
    command: list[str], variables: Mapping[str, str], what: str
) -> tuple[int, str]:
    """Run tests; tell now and then how many are done. Return their code and output."""
    start = told = time.perf_counter()
    lines: list[str] = []
    done = 0
    with subprocess.Popen(
        command,
        env=os.environ | variables,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            done += bool(re.search(r" (PASSED|FAILED|SKIPPED|ERROR) ", line))
            now = time.perf_counter()
            if now - told > TELL_SECONDS:
                told = now
                print(f"{what}: {done} tests, {now - start:,.0f} s", flush=True)
    print(f"{what}: {done} tests, {time.perf_counter() - start:,.0f} s", flush=True)
    return process.returncode, "".join(lines)


def commit() -> str:
    """Return the commit that is proven, with a mark where files differ from it.

    The results do not count: the rows of this very run are among them.
    """
    short = _git("rev-parse", "--short", "HEAD")
    differs = _git("status", "--porcelain", "--", ".", ":(exclude)bench/results")
    return f"{short}-dirty" if differs else short


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def write(outcomes: Mapping[str, Outcome]) -> None:
    """Put the rows into the table; those of bars that did not run stay."""
    rows = {}
    if RESULTS.exists():
        for line in RESULTS.read_text().splitlines():
            name = line.strip("| ").partition(" ")[0]
            if name in {bar.name for bar in BARS}:
                rows[name] = line
    rows |= {name: outcome.row for name, outcome in outcomes.items()}
    lines = [
        "# Proofs",
        "",
        "`make prove`; `python -m bench.prove -h` says how to run some of them."
        f" Last run {time.strftime('%Y-%m-%d', time.gmtime())}:"
        f" {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}, {platform.system()} {platform.release()}.",
        "",
        "| Name | Bar | | Tests | Seconds | Commit |",
        "|---|---|---|---|---|---|",
        *(rows[bar.name] for bar in BARS if bar.name in rows),
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description="Prove the bars at their full counts.")
    names = [bar.name for bar in BARS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name the bars, and end")
    asked = parser.parse_args()
    if asked.list:
        for bar in BARS:
            print(f"{bar.name:10} {bar.what}")
        return 0
    outcomes: dict[str, Outcome] = {}
    for bar in BARS:
        if asked.only and bar.name not in asked.only:
            continue
        print(f"{bar.name}: {bar.what} ...", flush=True)
        outcomes[bar.name] = prove(bar)
        print(outcomes[bar.name].row, flush=True)
        write(outcomes)
    return 0 if all(outcome.passed for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
