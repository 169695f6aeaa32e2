# SPDX-License-Identifier: Apache-2.0
"""A cache that YurtHub wrote, read in at the first start.

    <component>/<resource>.<version>.<group or core>/[<namespace>/]<name>
    <component>/<resource>/[<namespace>/]<name>           older, versions from objects

A file counts if it is a plain one, parses, and is named as it says. Where a `tmp_`
backup stands beside a whole file the higher resourceVersion wins. YurtHub keeps
neither the question nor its version, so what is read is *imported*: it shows what is
there, proves no absence, and is replaced by the first answer from the cloud. Nothing
here ever stops a start.
"""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from toono.cache.forms import JSON
from toono.cache.received import MAX_OBJECT_BYTES, fits
from toono.cache.scope import Change, Question, Row, name_hash
from toono.cache.scopes import Scopes
from toono.codec.base import Object, Single
from toono.codec.json import JSONCodec
from toono.errors import CodecError
from toono.kube.names import parse_version

log = logging.getLogger(__name__)

BACKUP = "tmp_"
MAX_DEPTH = 2
MAX_FILES = 50_000
METADATA_ONLY = ("partialobjectmetadatas.", "partialobjectmetadata.")


class Resource(NamedTuple):
    """Whose directory it is, and of which resource."""

    component: str
    group: str
    version: str
    resource: str


class Found(NamedTuple):
    """All objects of one directory, the best of each name."""

    resource: Resource
    singles: list[Single]


def read_tree(path: Path) -> list[Found]:
    """Return what YurtHub left below `path`; empty where there is nothing. Blocks."""
    best: dict[Resource, dict[tuple[str, str], Single]] = {}
    files = 0
    for component in _directories(path):
        if component.name.startswith("_"):
            continue
        for folder in _directories(component):
            name = folder.name.removeprefix(BACKUP)
            if name.startswith(METADATA_ONLY):
                continue
            for file in _files(folder, MAX_DEPTH):
                files += 1
                if files > MAX_FILES:
                    log.warning(
                        "more files than are read in", extra={"path": str(path)}
                    )
                    return _found(best)
                single = _read(file)
                resource = single and _resource(component.name, name, single)
                if single is not None and resource is not None:
                    _keep(best.setdefault(resource, {}), single)
    return _found(best)


def _found(best: dict[Resource, dict[tuple[str, str], Single]]) -> list[Found]:
    return [Found(one, list(singles.values())) for one, singles in best.items()]


def _keep(known: dict[tuple[str, str], Single], single: Single) -> None:
    item = single.object
    old = known.get((item.namespace, item.name))
    if old is None or _version(old.object) < _version(item):
        known[item.namespace, item.name] = single


def _version(item: Object) -> int:
    return parse_version(item.resource_version) or 0


def _directories(path: Path) -> Iterator[Path]:
    try:
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)
    except OSError as exc:
        log.debug("a directory is not read in", extra={"path": str(path), "err": exc})


def _files(path: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(path) as scan:
            entries = sorted(scan, key=lambda one: one.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if depth > 1:
                yield from _files(Path(entry.path), depth - 1)
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def _read(file: Path) -> Single | None:
    """Return the object in a file, None where it is not what its name says."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                return None
            content = opened.read(MAX_OBJECT_BYTES + 1)
        single = JSONCodec().read_single(content)
    except (OSError, CodecError) as exc:
        log.info("a cached file is not read in", extra={"path": str(file), "err": exc})
        return None
    item = single.object
    named = file.name.removeprefix(BACKUP) == item.name or file.name == item.name
    placed = item.namespace in ("", file.parent.name.removeprefix(BACKUP))
    if not named or not placed or not fits(item, namespace="", name=""):
        log.info("a cached file holds another object", extra={"path": str(file)})
        return None
    return single


def _resource(component: str, folder: str, single: Single) -> Resource | None:
    """Return whose directory it is; None where its objects are of another API."""
    group, _, version = single.api_version.rpartition("/")
    resource, dot, rest = folder.partition(".")
    if dot:
        named_version, _, named_group = rest.partition(".")
        if (named_version, named_group.removeprefix("core") or "") != (version, group):
            return None
    return Resource(component, group, version, resource)


def adopt_tree(scopes: Scopes, found: list[Found]) -> int:
    """Make imported scopes of what was read; return how many objects."""
    objects = 0
    for resource, singles in found:
        question = Question(*resource, "", "", "", "", JSON)
        if scopes.find(question) is not None:
            continue  # what the cloud said since is newer than any file
        scope = scopes.ensure(question)
        if scope is None:
            continue
        first = singles[0]
        scope.kind, scope.api_version = first.kind, first.api_version
        scope.list_kind, scope.style = first.kind + "List", first.style
        scope.imported = True
        items = [single.object for single in singles]
        for item in items:
            key = (item.namespace, item.name)
            row = Row(item.uid, item.resource_version, item.data, len(item.data))
            scope.rows[key] = row
            scope.digest ^= name_hash(key)
        scopes.commit(scope, Change(items, (), True, False))
        objects += len(items)
    return objects
