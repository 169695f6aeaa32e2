# SPDX-License-Identifier: Apache-2.0
"""A tree in YurtHub's layout, read in where the database knows nothing.

    <component>/<resource>.<version>.<group or core>/[<namespace>/]<name>
    <component>/<resource>/[<namespace>/]<name>           older, versions from objects
    <component>/partialobjectmetadata[s].v1.meta.k8s.io/<either>/[<namespace>/]<name>

A file counts if it is a plain one, parses, is named as it says, and is what the
manifest beside it says, if there is one. Where a `tmp_` backup stands beside a whole
file the higher resourceVersion wins. YurtHub keeps neither the question nor its
version: what is read is *imported*. It shows what is there, proves no absence, and is
replaced by the first answer from the cloud. Only where a folder is exactly what our own
manifest says are its questions complete again. Nothing here ever stops a start.
"""

import logging
import os
import stat
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from toono.cache.documents import MAX_DOCUMENT_BYTES
from toono.cache.forms import JSON, PARTIAL, form_of, split_form
from toono.cache.received import MAX_OBJECT_BYTES, fits
from toono.cache.scope import Change, Question, Row, name_hash
from toono.cache.scopes import Scopes
from toono.cache.tree_beside import DOCUMENTS
from toono.cache.tree_layout import (
    BACKUP,
    OWN,
    Resource,
    folder_of,
    is_partial_folder,
    resource_of_folder,
)
from toono.cache.tree_manifest import (
    MAX_BYTES,
    NAME,
    FileFact,
    Manifest,
    ScopeFact,
    decode,
    is_sound,
)
from toono.cache.tree_restore import restore
from toono.codec.base import Object, Single
from toono.codec.json import JSONCodec
from toono.errors import CodecError
from toono.kube.names import parse_version

log = logging.getLogger(__name__)

MAX_DEPTH = 2
MAX_FILES = 50_000
_NONE: Mapping[str, FileFact] = {}


class Found(NamedTuple):
    """All objects of one directory, the best of each name."""

    resource: Resource
    form: str
    singles: list[Single]
    list_kind: str
    proven: tuple[ScopeFact, ...] = ()
    """Questions that the manifest tells of, where all files are as it notes them."""


class Place(NamedTuple):
    """A directory of objects: of which component, where, and what is vouched for."""

    component: str
    folder: Path
    partial: bool
    facts: Mapping[str, FileFact]
    name: str


Best = dict[tuple[str, str], Single]


def read_tree(path: Path) -> list[Found]:
    """Return what a tree below `path` holds; empty where there is none. Blocks."""
    manifest = read_manifest(path) or Manifest()
    best: dict[tuple[Resource, str], Best] = {}
    whole: set[str] = set()
    left = MAX_FILES
    for place in _places(path, manifest):
        files = list(islice(_files(place.folder, MAX_DEPTH), left + 1))
        if len(files) > left:
            log.warning("more files than are read in", extra={"path": str(path)})
            break
        left -= len(files)
        as_noted = [_take(file, place, best) for file in files]
        if all(as_noted) and len(as_noted) == len(place.facts):
            whole.add(place.name)
    return _found(best, manifest, whole)


def read_documents(path: Path) -> dict[str, tuple[bytes, float]]:
    """Return documents that YurtHub kept, with the time of each, by path. Blocks."""
    found: dict[str, tuple[bytes, float]] = {}
    for target, name in DOCUMENTS.items():
        try:
            content = _content(path / name, MAX_DOCUMENT_BYTES)
            written_at = (path / name).lstat().st_mtime
            msgspec.json.decode(content or b"", type=dict[str, msgspec.Raw])
        except (OSError, msgspec.DecodeError):
            continue
        if content and len(content) <= MAX_DOCUMENT_BYTES:
            found[target] = content, written_at
    return found


def _take(file: Path, place: Place, best: dict[tuple[Resource, str], Best]) -> bool:
    """Take what a file holds, if it counts; say whether it is as the manifest says."""
    single = _read(file, place)
    resource = single and _resource(place, single)
    if single is None or resource is None:
        return False
    form = form_of(JSON, PARTIAL if place.partial else "")
    _keep(best.setdefault((resource, form), {}), single)
    fact = place.facts.get("/".join(file.relative_to(place.folder).parts))
    return fact is not None and fact.resource_version == single.object.resource_version


def read_manifest(path: Path) -> Manifest | None:
    """Return what the tree's writer noted of it; None where nothing can be read."""
    try:
        content = _content(path.joinpath(*OWN, NAME), MAX_BYTES)
    except OSError:
        return None
    return None if content is None else decode(content)


def _found(
    best: Mapping[tuple[Resource, str], Best], manifest: Manifest, whole: set[str]
) -> list[Found]:
    noted: dict[tuple[Resource, str], list[ScopeFact]] = {}
    for fact in manifest.scopes:
        form = form_of(JSON, split_form(fact.question.media_type)[1])
        noted.setdefault((Resource(*fact.question[:4]), form), []).append(fact)
    found = []
    for key in dict.fromkeys((*best, *noted)):
        resource, form = key
        singles, facts = best.get(key, {}), noted.get(key, [])
        folder = "/".join(folder_of(Question(*resource, "", "", "", "", form)) or ())
        if folder not in whole or len(singles) != len(manifest.files.get(folder, ())):
            facts = []
        if not (singles or facts):
            continue
        kind = next((single.kind for single in singles.values()), "")
        list_kind = next((one.list_kind for one in noted.get(key, [])), kind + "List")
        found.append(
            Found(resource, form, list(singles.values()), list_kind, tuple(facts))
        )
    return found


def _places(path: Path, manifest: Manifest) -> Iterator[Place]:
    """Yield each directory that holds one component's objects of one resource."""
    for component in _directories(path):
        if component.name.startswith("_"):
            continue
        for folder in _directories(component):
            partial = is_partial_folder(folder.name.removeprefix(BACKUP))
            for inner in _directories(folder) if partial else (folder,):
                parts = (*folder.relative_to(path).parts, inner.name)
                name = "/".join(parts if partial else parts[:-1])
                facts = manifest.files.get(name, _NONE)
                yield Place(component.name, inner, partial, facts, name)


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


def _read(file: Path, place: Place) -> Single | None:
    """Return the object in a file, None where it is not what its name says."""
    try:
        content = _content(file, MAX_OBJECT_BYTES)
        if content is None:
            return None
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
    fact = place.facts.get("/".join(file.relative_to(place.folder).parts))
    if not is_sound(fact, content, item.resource_version):
        log.warning("a cached file is damaged", extra={"path": str(file)})
        return None
    return single


def _content(file: Path, limit: int) -> bytes | None:
    """Return what a plain file holds, one byte over `limit` at most; else None."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            return None
        return opened.read(limit + 1)


def _resource(place: Place, single: Single) -> Resource | None:
    """Return whose directory it is; None where its objects are of another API."""
    if place.partial != (single.kind == PARTIAL):
        return None
    return resource_of_folder(
        place.component,
        place.folder.name.removeprefix(BACKUP),
        api_version=None if place.partial else single.api_version,
    )


def adopt_tree(scopes: Scopes, found: list[Found]) -> int:
    """Make imported scopes of what was read; return how many objects."""
    objects = 0
    for resource, form, singles, list_kind, proven in found:
        restore(scopes, proven, singles)
        if not singles:
            continue
        question = Question(*resource, "", "", "", "", form)
        if scopes.find(question) is not None:
            continue  # what the cloud said since is newer than any file
        scope = scopes.ensure(question)
        if scope is None:
            continue
        first = singles[0]
        scope.kind, scope.api_version = first.kind, first.api_version
        scope.list_kind, scope.style = list_kind, first.style
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
