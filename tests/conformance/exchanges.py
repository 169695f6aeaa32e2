# SPDX-License-Identifier: Apache-2.0
"""The recorded exchanges with a real API server, one after the other."""

import json
from dataclasses import dataclass
from pathlib import Path

from toono.testing.replay import body_of

FOLDER = Path(__file__).parents[1] / "data" / "wire" / "exchanges"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request, and what a kube-apiserver 1.34 answered."""

    name: str
    note: str
    head: bytes
    """The request's head, without the empty line."""
    body: bytes
    answer: "Answer"

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def is_watch(self) -> bool:
        return "watch=" in self.target and self.answer.status == 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, chunks joined."""

    status: int
    fields: dict[str, str]
    """By lower-case name."""
    body: bytes


_BY_NOBODY = ("list-pods-anonymous", "list-pods-unauthorized")
_BY_THE_NODE = ("list-secrets-forbidden", "create-selfsubjectreview")


def had_by(exchange: Exchange | None) -> str:
    """Say whose certificate an exchange was had with: the node's, admin's, or none."""
    if exchange is None:
        return "admin"
    if exchange.name in _BY_NOBODY:
        return ""
    return "edge-1" if exchange.name in _BY_THE_NODE else "admin"


def answer_of(raw: bytes) -> Answer:
    """Return a raw answer as a value."""
    head = raw.partition(b"\r\n\r\n")[0].decode("latin-1")
    line, *lines = head.split("\r\n")
    pairs = (each.partition(":") for each in lines)
    return Answer(
        status=int(line.split(" ")[1]),
        fields={name.lower(): value.strip() for name, _, value in pairs},
        body=body_of(raw)[0],
    )


def read() -> list[Exchange]:
    """Return every recorded exchange, in the order they were made."""
    index = json.loads((FOLDER / "index.json").read_text())
    return [_read(entry["name"], entry["note"]) for entry in index]


def _read(name: str, note: str) -> Exchange:
    head, _, body = (FOLDER / f"{name}.request").read_bytes().partition(b"\r\n\r\n")
    answer = answer_of((FOLDER / f"{name}.response").read_bytes())
    return Exchange(name=name, note=note, head=head, body=body, answer=answer)
