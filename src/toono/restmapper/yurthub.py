# SPDX-License-Identifier: Apache-2.0
"""YurtHub's `_internal/restmapper/cache-crd-restmapper.conf`, read and written.

One JSON object, `"group/version/resource": "Kind"`, with a key for the plural and one
for the singular. It holds no scope and no verbs, and YurtHub guessed its plurals: what
is read counts only until discovery can be asked. It is written so that a node can go
back to YurtHub.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from toono.restmapper.overlay import Row
from toono.restmapper.persist import replace_file
from toono.restmapper.snapshot import Snapshot
from toono.restmapper.values import (
    APIResource,
    GroupVersion,
    GroupVersionKind,
    Scope,
    Source,
    guess_plural,
)

log = logging.getLogger(__name__)

FILE = Path("_internal/restmapper/cache-crd-restmapper.conf")
"""Below the cache directory."""
MAX_FILE_BYTES = 16 << 20

BUILT_IN = frozenset({
    "", "admissionregistration.k8s.io", "apps", "authentication.k8s.io",
    "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io",
    "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "extensions",
    "flowcontrol.apiserver.k8s.io", "internal.apiserver.k8s.io",
    "networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io",
    "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
    "storagemigration.k8s.io",
})  # fmt: skip
"""Groups of client-go's compiled scheme, which YurtHub never looks up in the file."""

_entries = msgspec.json.Decoder(dict[str, str])


def read(path: Path) -> list[Row]:
    """The file's entries as rows that any document overrules; [] where it is bad."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError("too large")
        content = path.read_bytes()
        entries = _entries.decode(content) if content.strip() else {}
    except FileNotFoundError:
        return []
    except (OSError, ValueError, msgspec.DecodeError) as exc:
        log.warning(
            "YurtHub's mapper file cannot be used; starting without it",
            extra={"file": str(path), "reason": str(exc)},
        )
        return []
    return list(_rows(entries))


def _rows(entries: Mapping[str, str]) -> Iterable[Row]:
    """One row a resource: of the two names the longer, or the guessed plural."""
    names: dict[tuple[GroupVersion, str], set[str]] = {}
    for key, kind in entries.items():
        parts = key.split("/")
        if len(parts) == 3 and parts[1] and parts[2] and kind:
            gv = GroupVersion(parts[0], parts[1])
            if gv.group != "meta.k8s.io":
                names.setdefault((gv, kind), set()).add(parts[2])
    for (gv, kind), both in names.items():
        guessed, singular = guess_plural(kind)
        plural = (
            guessed
            if guessed in both
            else max(both, key=lambda name: (len(name), name))
        )
        resource = APIResource(
            plural,
            singular if singular in both else min(both, key=len),
            GroupVersionKind(gv.group, gv.version, kind),
            Scope.UNKNOWN,
        )
        yield Row(gv, plural, resource, Source.DISK, born=0, until=0.0)


def write(path: Path, snapshot: Snapshot) -> None:
    """Write what YurtHub would have learned; atomically. Blocks; raises OSError."""
    entries: dict[str, str] = {}
    for mapping in snapshot.all_mappings():
        group, version, resource = mapping.resource
        if group in BUILT_IN or "list" not in mapping.api.verbs:
            continue
        for name in (resource, mapping.api.singular):
            entries[f"{group}/{version}/{name}"] = mapping.kind.kind
    replace_file(path, msgspec.json.encode(entries, order="sorted"))
