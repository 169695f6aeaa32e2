# SPDX-License-Identifier: Apache-2.0
"""What a cache holds, for people: read from its database, with or without a hub."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toono.cache.rows import (
    SCOPE_PREFIX,
    ScopeRow,
    bucket_prefix,
    decode_object,
    decode_scope,
    row_key,
    scope_id,
)
from toono.cache.scope import Question, RowKey, name_hash
from toono.codec.registry import for_media_type
from toono.errors import CodecError
from toono.kube.names import parse_version
from toono.store.inspect import read_rows


@dataclass(frozen=True, slots=True)
class Remembered:
    """One question and what is known of it."""

    number: int
    question: Question
    row: ScopeRow
    version: int
    objects: dict[RowKey, bytes]
    problems: tuple[str, ...]


def remembered(path: Path) -> Iterator[Remembered]:
    """Yield every question in the database at `path`, with its objects' bytes."""
    scan = read_rows(path, SCOPE_PREFIX)
    for key, value in scan.rows:
        try:
            row = decode_scope(value)
        except CodecError:
            continue
        yield _read(path, scope_id(key), row)


def _read(path: Path, number: int, row: ScopeRow) -> Remembered:
    scan = read_rows(path, bucket_prefix(row.bucket))
    objects: dict[RowKey, bytes] = {}
    version, digest = row.version, 0
    problems = [
        f"damaged row {key[9:].decode(errors='replace')}" for key in scan.damaged
    ]
    for key, value in scan.rows:
        try:
            name = row_key(key)
            _, resource_version, content = decode_object(value)
        except CodecError as exc:
            problems.append(str(exc))
            continue
        objects[name] = content
        digest ^= name_hash(name)
        version = max(version, parse_version(resource_version) or 0)
    if digest != row.digest or len(objects) != row.count:
        problems.append(f"{len(objects)} objects, {row.count} expected, or other names")
    question = Question(*row.question)
    return Remembered(number, question, row, version, objects, tuple(problems))


def lost_questions(path: Path) -> int:
    """Return how many questions' own rows cannot be read."""
    scan = read_rows(path, SCOPE_PREFIX)
    lost = len(scan.damaged)
    for _, value in scan.rows:
        try:
            decode_scope(value)
        except CodecError:
            lost += 1
    return lost


def whole_object(found: Remembered, key: RowKey) -> bytes | None:
    """Return one object as a GET would, None where it is not remembered."""
    content = found.objects.get(key)
    codec = for_media_type(found.question.media_type)
    if content is None or codec is None:
        return None
    row = found.row
    return codec.write_single(
        kind=row.kind, api_version=row.api_version, style=row.style, data=content
    )
