# SPDX-License-Identifier: Apache-2.0
"""What a cache holds, for people: read from its database, with or without a hub."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toono.cache.forms import PARTIAL, PROTOBUF, TABLE, split_form
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
from toono.codec.page import Page
from toono.codec.partial import write_partial
from toono.codec.registry import for_media_type
from toono.codec.table import join_table
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


def form_name(found: Remembered) -> str:
    """Return in which form a question's answer is kept, for people."""
    media_type, as_kind = split_form(found.question.media_type)
    if as_kind == TABLE:
        return "table"
    written = "protobuf" if media_type == PROTOBUF else "json"
    return f"metadata {written}" if as_kind else written


def is_whole(found: Remembered) -> bool:
    """Say whether objects are kept, and not their metadata or rows of a Table alone."""
    return not split_form(found.question.media_type)[1]


def single(found: Remembered, key: RowKey) -> bytes | None:
    """Return one object, as much as is kept, as a GET in that form would show it.

    None where it is not remembered.
    """
    content = found.objects.get(key)
    media_type, as_kind = split_form(found.question.media_type)
    codec = for_media_type(media_type)
    if content is None or codec is None:
        return None
    row = found.row
    if as_kind == PARTIAL:
        return write_partial(content, media_type=media_type, version="v1")
    if as_kind == TABLE:
        page = Page(str(found.version))
        columns = row.columns
        return b"".join(join_table([content], page, columns=columns, version="v1"))
    return codec.write_single(
        kind=row.kind, api_version=row.api_version, style=row.style, data=content
    )
