# SPDX-License-Identifier: Apache-2.0
"""Write docs/reference/{flags,metrics,limits}.md from what the hub says of itself.

    python scripts/generate_reference.py

Flags come from the table that the command line is made of, metrics from a hub that is
started, asked, and scraped, limits from the constants that are obeyed; the README's rows
of speed from bench/results/speed.md. tests/unit/test_docs.py fails where a page is not
what this script writes.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from toono.app import DRAIN_SECONDS, Hub, HubSettings
from toono.autonomy import lease, replay, spool, vault
from toono.autonomy.spool import SpoolSettings
from toono.autonomy.sweep import SweepSettings
from toono.cache import coding, documents, hot, received, scopes
from toono.cache.guests import GuestLimits
from toono.certs.files import Root
from toono.config import live
from toono.config.certificates import CertificateSettings
from toono.config.flags import FLAGS, Flag, variable
from toono.config.pool import PoolSettings
from toono.filters import held
from toono.multiplex import stream
from toono.pipeline import alone, bounded, forward, limits, recorded, relists
from toono.store.settings import SQLiteSettings
from toono.testing import APIServer
from toono.upstream import health, pool
from toono.wire import gate
from toono.wire.client import Origin
from toono.wire.messages import Answer
from toono.wire.server import DESCRIPTORS_SHARE, ServerSettings

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
README = ROOT / "README.md"
SPEED = ROOT / "bench" / "results" / "speed.md"
SPEED_BEGINS, SPEED_ENDS = "<!-- begin speed -->", "<!-- end speed -->"
NOTE = "<!-- Written by scripts/generate_reference.py; do not edit. -->\n"
LIBRARY = ("config/flags.py", "config/options.py")
"""Where every option is named, whether it does something or not."""
YURTHUB = ("node_yurthub_", "openyurt_")

FLAGS_INTRO = """\
# Options

`toono run` and `toono check` take these. Each can also be given as an environment
variable or as a field of a configuration file; what wins, and how values are written,
is in [configuration](configuration.md).

Names and defaults are YurtHub's where YurtHub has the option. An option whose part does
not exist yet is taken, so that a node's arguments need not change, and `toono run` says
so once at its start; such options say *works with* below, and do nothing today.
"""

METRICS_INTRO = """\
# Metrics

`GET /metrics` on the status listener (10267) answers in the Prometheus text format,
version 0.0.4. All series are alpha: names and labels may change in any release, and the
changelog says so. `toono_pool_…` are there with `--enable-coordinator` only.

`component` is the product of a client's User-Agent, so it is chosen by clients: beyond
2,000 different sets of labels a request is counted under `other`.
"""

YURTHUB_INTRO = """\
## YurtHub's series

With `--yurthub-metrics` the hub shows these as well, with YurtHub's names, labels and
meanings, for dashboards that were made for it. Their `client` label is the whole
User-Agent in lower case. A series of a part that toono does not have is always 0 or
empty.
"""


LIMITS_INTRO = """\
# Limits

What bounds a hub, and what happens there. None of it can be set by an option today,
except where one is named.
"""


class Series(NamedTuple):
    """One family as a scrape shows it."""

    name: str
    kind: str
    labels: Sequence[str]
    text: str


# -- options ----------------------------------------------------------------------


def flags_page() -> str:
    """Return docs/reference/flags.md."""
    parts = [NOTE, FLAGS_INTRO]
    for group in dict.fromkeys(flag.group for flag in FLAGS):
        parts.append(f"## {group}\n")
        rows = [_flag_row(flag) for flag in FLAGS if flag.group == group]
        head = ("Option", "Default", "Variable", "Field", "Meaning")
        parts.append(_table(head, rows))
    parts.append(
        "## Files\n\n"
        "| Option | Meaning |\n|---|---|\n"
        "| `--config` | a `ToonoConfiguration` file |\n"
        "| `--config-dir` | a directory of drop-ins, read in the order of their names |\n"
    )
    return "\n".join(parts)


def _flag_row(flag: Flag) -> tuple[str, ...]:
    return (
        f"`--{flag.name}`",
        _default(flag),
        f"`{variable(flag)}`",
        f"`{_field(flag)}`",
        _meaning(flag),
    )


def _field(flag: Flag) -> str:
    """Return the field of a configuration file."""
    first, *rest = flag.name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def _default(flag: Flag) -> str:
    value = flag.default
    if value in ("", ()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if flag.kind == "duration" and isinstance(value, float):
        return f"`{value:g}s`"
    return f"`{','.join(value)}`" if isinstance(value, tuple) else f"`{value}`"


def _meaning(flag: Flag) -> str:
    text = flag.help or "as YurtHub's"
    if flag.comes:
        return f"{text}; *works with {flag.comes}*"
    told = flag.group == "Deprecated" or "has no effect" in text
    if not told and not _is_read(flag):
        return f"{text}; *checked, and without effect today*"
    return text


def _is_read(flag: Flag) -> bool:
    """Say whether any module asks for this option's value, and not only checks it."""
    sources = ROOT / "src" / "toono"
    return any(
        (f'.text("{flag.name}")' if checks else f'"{flag.name}"') in path.read_text()
        for path in sources.rglob("*.py")
        for checks in (str(path.relative_to(sources)) in LIBRARY,)
    )


# -- metrics ----------------------------------------------------------------------


def metrics_page() -> str:
    """Return docs/reference/metrics.md."""
    series = asyncio.run(scraped())
    own = [one for one in series if not one.name.startswith(YURTHUB)]
    theirs = [one for one in series if one.name.startswith(YURTHUB)]
    head = ("Series", "Type", "Labels", "Meaning")
    return "\n".join(
        [
            NOTE,
            METRICS_INTRO,
            "## toono's series\n",
            _table(head, map(_series_row, own)),
            YURTHUB_INTRO,
            _table(head, map(_series_row, theirs)),
        ]
    )


def _series_row(one: Series) -> tuple[str, ...]:
    labels = " ".join(f"`{label}`" for label in one.labels)
    return (f"`{one.name}`", one.kind, labels, one.text)


async def scraped() -> list[Series]:
    """Return the series of a hub that has answered something and holds a watch."""
    server = APIServer()
    await server.start()
    with tempfile.TemporaryDirectory(prefix="toono-reference-") as directory:
        settings = HubSettings(
            servers=(server.address,),
            tls=None,
            node_name="edge-1",
            cache_path=Path(directory),
            listen=(("127.0.0.1", 0),),
            status_listen=("127.0.0.1", 0),
            yurthub_metrics=True,
            pool=PoolSettings(endpoints=(("127.0.0.1", 1),), tls=None),
            certificates=CertificateSettings(root=Root(Path(directory)), serving=True),
        )
        async with Hub(settings) as hub:
            await hub.back.wait()
            proxy = _client(hub.addresses[0])
            watch = await _get(proxy, "/api/v1/pods?watch=true&resourceVersion=0")
            await _read(await _get(proxy, "/api/v1/pods"))
            assert hub.status_address is not None
            status = _client(hub.status_address)
            text = await _read(await _get(status, "/metrics"))
            watch.body.close()
            proxy.close()
            status.close()
        await server.aclose()
    return list(_series(text.decode()))


def _client(address: tuple[str, int]) -> Origin:
    return Origin(*address, tls=lambda _: None)


async def _get(origin: Origin, target: str) -> Answer:
    headers = [(b"Host", b"hub"), (b"User-Agent", b"kubelet/v1.34.0")]
    return await origin.send("GET", target.encode(), headers, None, credential=None)


async def _read(answer: Answer) -> bytes:
    pieces = []
    while piece := await answer.body.read():
        pieces.append(piece)
    return b"".join(pieces)


def _series(text: str) -> Iterator[Series]:
    for family in text_string_to_metric_families(text):
        counted = family.type == "counter" and not family.name.endswith("_total")
        name = family.name + ("_total" if counted else "")
        labels = {label for sample in family.samples for label in sample.labels}
        yield Series(name, family.type, sorted(labels - {"le"}), family.documentation)


# -- limits -----------------------------------------------------------------------


def limits_page() -> str:
    """Return docs/reference/limits.md."""
    parts = [NOTE, LIMITS_INTRO]
    for title, rows in (
        ("Clients", list(_of_clients())),
        ("Requests under way", list(_of_requests())),
        ("The cloud", list(_of_the_cloud())),
        ("The cache", list(_of_the_cache())),
        ("Writes while cut off", list(_of_writes())),
        ("The node", list(_of_the_node())),
    ):
        parts += [f"## {title}\n", _table(("What", "Limit", "There"), rows)]
    return "\n".join(parts)


Limit = tuple[str, str, str]


def _of_clients() -> Iterator[Limit]:
    wire = ServerSettings()
    idlest = "the one idle for longest is closed"
    yield "connections, those in their handshake too", f"{wire.connections:,}", idlest
    share = f"{DESCRIPTORS_SHARE:.0%} of what the process may open, with all its files"
    yield "descriptors of connections", share, idlest
    yield "a handshake's time", _seconds(wire.head_seconds), "the connection is closed"
    each = wire.connections_loopback
    yield (
        "connections of the node's own user (`--node-uids`) here",
        f"{each}",
        "a further one is closed",
    )
    each = wire.connections_per_source
    yield (
        "connections of any other user here, or from any other address",
        f"{each}",
        "a further one is closed",
    )
    yield "a request's head", _bytes(gate.MAX_HEAD_BYTES), "431"
    yield "header fields", f"{gate.MAX_FIELDS}", "431"
    yield "one header line", _bytes(gate.MAX_LINE_BYTES), "431"
    yield "path and query", _bytes(gate.MAX_TARGET_BYTES), "414"
    yield "a head's time", _seconds(wire.head_seconds), "408"
    yield "a request's body", _bytes(bounded.MAX_BODY_BYTES), "413; none for `proxy`"
    slow = f"{_seconds(wire.body_seconds)} below {wire.body_rate} bytes a second"
    yield "a body that drips", slow, "the connection is closed"
    yield "an idle connection", _seconds(wire.idle_seconds), "it is closed"
    unread = _seconds(wire.write_seconds)
    yield "an answer that is not read", unread, "the connection is closed"
    unread = _seconds(forward.WATCH_PATIENCE)
    yield "a watch that is not read", unread, "it is closed; its client lists again"
    yield "answers under way at a stop", _seconds(DRAIN_SECONDS), "they are cut"


def _of_requests() -> Iterator[Limit]:
    wait = f"waits {_seconds(limits.QUEUE_SECONDS)}, then 429"
    yield "reads", f"{limits.READ_LIMIT}", wait
    yield "writes", f"{limits.WRITE_LIMIT}", wait
    share = f"{limits.KUBELET_SHARE:.0%} of both"
    yield "kept for the node's own `kubelet`", share, "others wait before"
    yield "reads and writes of one client", f"{limits.CLIENT_LIMIT}", wait
    yield "watches", f"{limits.WATCH_LIMIT:,}", "429"
    each = f"{limits.CLIENT_WATCH_LIMIT}"
    yield "watches of one client, but for the node's own kubelet", each, "429"
    behind = f"{stream.MAX_FRAMES} events or {stream.MAX_BYTES // 1024:,} KiB"
    yield "behind a shared watch", behind, "it is cut; its client comes back"
    yield "large answers that are filtered now", _bytes(held.ROOM_BYTES), "429"


def _of_the_cloud() -> Iterator[Limit]:
    pace = f"{relists.LISTS_A_SECOND:g} a second"
    turns = (
        f"for {_seconds(relists.RETURN_SECONDS)} and after a burst of {relists.BURST},"
        " they wait their turn, the kubelet's first"
    )
    yield "lists of collections once the link is back", pace, turns
    yield "lists that wait for their turn", f"{relists.WAITING_LIMIT}", "429"
    rate = f"{pool.CONNECTIONS_PER_SECOND:g} a second"
    burst = f"after a burst of {pool.CONNECTION_BURST:g}, they wait their turn"
    yield "new connections", rate, burst
    silence = _seconds(health.SILENCE_SECONDS)
    yield "no head of an answer", silence, "a probe on a fresh connection decides"
    probe = f"{_seconds(health.PROBE_SECONDS)} (`--heartbeat-timeout-seconds`)"
    yield "a probe", probe, "the server is down"
    every = f"{_seconds(health.INTERVAL_SECONDS)} (`--heartbeat-interval-seconds`)"
    down = f"while it is down every {_seconds(health.DOWN_INTERVAL_SECONDS)}"
    yield "between probes of a server", every, down


def _of_the_cache() -> Iterator[Limit]:
    store = SQLiteSettings()
    further = "only the kubelet's further questions are kept"
    yield "questions", f"{scopes.MAX_SCOPES:,}", further
    yield "bytes of all objects", _bytes(scopes.MAX_BYTES), further
    yield "bytes in memory", _bytes(hot.HOT_BYTES), "the rest is read from the disk"
    passed = "passed on, not kept"
    yield "a list", _bytes(coding.MAX_BODY_BYTES), passed
    yield "an object", _bytes(received.MAX_OBJECT_BYTES), passed
    yield "a document", _bytes(documents.MAX_DOCUMENT_BYTES), passed
    yield "all documents", _bytes(documents.MAX_BYTES), "the oldest go"
    yield (
        "changes that wait for the disk",
        _bytes(store.queue_bytes),
        "the change is dropped, its question incomplete until it is listed again",
    )
    yield "from a change to its sync", _seconds(store.sync_after), "the sync begins"
    passes = _seconds(recorded.BARRIER_SECONDS)
    rest = _seconds(recorded.BARRIER_REST_SECONDS)
    yield "a removal held for its sync", passes, f"it passes; none is held for {rest}"
    again = f"{_seconds(store.retry_first)} to {_seconds(store.retry_most)}"
    yield "a disk that fails is tried again after", again, "meanwhile from memory"


def _of_the_node() -> Iterator[Limit]:
    guests = GuestLimits()
    oldest = "what was heard of the longest time ago goes"
    size = _bytes(guests.size_bytes)
    yield "bytes of agents that are not kept by name", size, oldest
    yield "their questions", f"{guests.scopes:,}", f"{oldest}; a warning at 80 %"
    names = f"{live.MAX_NAMES} each"
    kept = "the last good value stays"
    yield "names in `cache_agents`, `cache_service_accounts`", names, kept
    grace = f"{_seconds(lease.DURATION_SECONDS)} (`--kubelet-health-grace-period`)"
    yield "no renewal of the kubelet's", grace, "its Lease runs out"
    again = "it looks again who renews"
    yield "silence after a stranger's renewal", _seconds(lease.SILENCE_SECONDS), again
    sweeps = SweepSettings()
    share = f"{sweeps.least}, or {sweeps.share:.0%} of all questions; half at most"
    yield "questions that one sweep gives up", share, "the rest a minute later"


def _of_writes() -> Iterator[Limit]:
    waiting = SpoolSettings()
    oldest = "the oldest go"
    count = f"{waiting.max_writes:,} (`--spool-max-writes`)"
    yield "writes that wait", count, oldest
    size = f"{_bytes(waiting.max_bytes)} (`--spool-max-mebibytes`)"
    yield "their bytes", size, f"{oldest}; of pods first, where pods hold over half"
    yield "the body of one", _bytes(alone.MAX_BODY_BYTES), "503"
    yield "a disk that keeps one", _seconds(spool.DISK_SECONDS), "503"
    yield "sending one", _seconds(replay.SEND_SECONDS), "again later"
    first, most = replay.BACKOFF_SECONDS
    yield "between tries", f"{_seconds(first)} to {_seconds(most)}", ""
    tries = "it is dropped; 429 does not count, nor a link that breaks"
    yield "tries that the server breaks over", f"{replay.MAX_TRIES}", tries
    ends = "the one that ends first goes"
    yield "tokens kept, and verdicts kept", f"{vault.MAX_ROWS:,} each", ends


def _bytes(number: int) -> str:
    for unit, size in (("MiB", 1024 * 1024), ("KiB", 1024)):
        if number % size == 0:
            return f"{number // size:,} {unit}"
    return f"{number:,} bytes"


def _seconds(number: float) -> str:
    return f"{number * 1000:g} ms" if number < 1 else f"{number:g} s"


# -- pages ------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


PAGES = {
    "flags.md": flags_page,
    "metrics.md": metrics_page,
    "limits.md": limits_page,
}


def readme(text: str) -> str:
    """Return the README with the rows of the speed table that it shows, as they are."""
    before, _, rest = text.partition(SPEED_BEGINS)
    _, _, after = rest.partition(SPEED_ENDS)
    heads = ("Work", "toono", "YurtHub 1.5.1", "Goal")
    shown = _table(heads, _speed_rows(SPEED.read_text()))
    return f"{before}{SPEED_BEGINS}\n{shown}{SPEED_ENDS}{after}"


def _speed_rows(text: str) -> Iterator[tuple[str, str, str, str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    names, *rows = table
    measured, goal = names.index("toono"), names.index("Goal")
    other = names.index("YurtHub") if "YurtHub" in names else 0
    for row in rows:
        if row[measured] and not row[0].startswith("the same"):
            verdict = f"{row[goal]}: {row[goal + 1].split(': ')[-1]}"
            beside = row[other] if other and row[other] not in ("", "0") else "-"
            yield row[0], row[measured], beside, verdict


def main() -> None:
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page())
        sys.stdout.write(f"wrote {REFERENCE / name}\n")
    README.write_text(readme(README.read_text()))
    sys.stdout.write(f"wrote the speed table in {README}\n")


if __name__ == "__main__":
    main()
