# SPDX-License-Identifier: Apache-2.0
"""What on this node would not survive a cut that begins now: from values alone.

What was looked up comes in, findings go out, worst first. It neither asks nor reads
anything; who does is `app.ready`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from toono.autonomy.tokens import LEAST_SECONDS
from toono.codec.sent import Values, text_in

NEAR_SECONDS = 3600.0
"""A token that ends sooner leaves little time in a cut."""
CERTIFICATE_SECONDS = 24 * 3600.0
PEOPLE = frozenset({"curl", "helm", "k9s", "kubectl", "mozilla"})
"""Programs that somebody uses by hand: no workload fails without them."""
FINISHED = frozenset({"Succeeded", "Failed"})
KUBELET = "kubelet"
HUB = "hub"


class Level(Enum):
    """How bad a finding is, worst first."""

    LOST = "lost"
    """It would not survive a cut that begins now."""
    SOON = "soon"
    """It would survive a short one."""
    NOTE = "note"
    """Worth knowing; nothing is known to fail by it."""


class Reason(Enum):
    """Why something would not survive: what alerts are grouped by."""

    NEVER_SEEN = "never_seen"
    FORBIDDEN = "forbidden"
    TOKEN = "token"  # noqa: S105 - a word
    CERTIFICATE = "certificate"
    NOT_KEPT = "not_kept"
    UNJUDGED = "unjudged"
    HUB = "hub"


class Known(NamedTuple):
    """What is known of one question that a workload has."""

    what: str
    """The object, in words."""
    known: bool
    forbidden: bool = False
    """The API server has refused it to the node."""
    token: bool = False
    ends_at: float = 0.0
    """Of a token that is kept."""


class Finding(NamedTuple):
    """One thing that would not survive, or might not."""

    workload: str
    level: Level
    reason: Reason
    what: str
    remedy: str


def workload_of(pod: Values) -> str:
    """Return a pod's name for people; "" of one that needs nothing any more."""
    if text_in(pod, "status", "phase") in FINISHED:
        return ""
    namespace = text_in(pod, "metadata", "namespace")
    name = text_in(pod, "metadata", "name")
    return f"{namespace}/{name}" if namespace and name else ""


def of_workload(workload: str, known: Iterable[Known], *, now: float) -> list[Finding]:
    """Return what a workload would lack."""
    found = (_of_one(workload, one, now=now) for one in known)
    return [one for one in found if one is not None]


def _of_one(workload: str, one: Known, *, now: float) -> Finding | None:
    if one.token:
        return _of_token(workload, one, now=now)
    if one.forbidden:
        return Finding(
            workload,
            Level.LOST,
            Reason.FORBIDDEN,
            f"{one.what}: the API server refuses it to this node",
            "give the node the right to read it",
        )
    if one.known:
        return None
    return Finding(
        workload,
        Level.LOST,
        Reason.NEVER_SEEN,
        f"{one.what}: never seen",
        "toono ready --prefetch",
    )


def _of_token(workload: str, one: Known, *, now: float) -> Finding | None:
    left = one.ends_at - now
    if left >= NEAR_SECONDS:
        return None
    level, said = Level.SOON, f"{one.what}: ends in {int(left)} s"
    if left < LEAST_SECONDS:  # it would not be given out
        level, said = Level.LOST, f"{one.what}: none is kept that still lives"
    remedy = "toono ready --prefetch"
    return Finding(workload, level, Reason.TOKEN, said, remedy)


def of_certificates(ends: Mapping[str, float], *, now: float) -> Iterator[Finding]:
    """Yield the certificates that end soon; `ends` are by what they are for."""
    for what, ends_at in ends.items():
        left = ends_at - now
        if left >= CERTIFICATE_SECONDS:
            continue
        level, said = Level.SOON, f"{what}: ends in {int(left)} s"
        if left <= 0:
            level, said = Level.LOST, f"{what}: has ended"
        yield Finding(HUB, level, Reason.CERTIFICATE, said, "renew it")


def of_agents(not_kept: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Finding]:
    """Yield the components that ask and whose answers are forgotten."""
    for component, resources in not_kept:
        level = Level.NOTE if component in PEOPLE else Level.LOST
        said = f"{', '.join(resources)}: asked for, and not kept"
        remedy = f"toono cache agents: add {component}"
        yield Finding(component, level, Reason.NOT_KEPT, said, remedy)


def of_notes(notes: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what the hub itself says is wrong."""
    for name, text in notes.items():
        if text:
            said = f"{name}: {text}"
            yield Finding(
                HUB, Level.NOTE, Reason.HUB, said, "see docs/how-to/troubleshooting.md"
            )


def unjudged() -> Finding:
    """Return what is said where no kubelet asks through this hub."""
    return Finding(
        KUBELET,
        Level.NOTE,
        Reason.UNJUDGED,
        "no kubelet was heard here: its pods are not judged",
        "see docs/how-to/node.md",
    )


def nothing_kept() -> Finding:
    """Return what is said of a hub that keeps nothing, whoever asks through it."""
    return Finding(
        HUB,
        Level.LOST,
        Reason.NOT_KEPT,
        "this hub keeps nothing: --working-mode=cloud",
        "on a node that must live through a cut, leave the mode out",
    )


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order in which people should read them, each once."""
    order = list(Level)
    return sorted(
        dict.fromkeys(findings), key=lambda one: (order.index(one.level), one.workload)
    )


def count_reasons(findings: Iterable[Finding]) -> dict[Reason, int]:
    """Return how many things would be lost, by every reason there is."""
    counts = dict.fromkeys(Reason, 0)
    for one in findings:
        if one.level is Level.LOST:
            counts[one.reason] += 1
    return counts
