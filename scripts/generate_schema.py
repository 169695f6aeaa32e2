# SPDX-License-Identifier: Apache-2.0
"""Write src/toono/codec/schema.txt: every built-in kind's fields, one line a message.

Field numbers and types come from tests/data/wire/protobuf-fields.json. That table is in
the order of numbers; an API server writes JSON in the order in which Go declares the
fields, which only the Go modules tell (k8s.io/api, apimachinery,
apiextensions-apiserver, kube-aggregator):

    python scripts/generate_schema.py [GO_MODULE_CACHE/k8s.io]

Without the directory the order of the file that exists is kept.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from toono.codec import schema

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "tests" / "data" / "wire" / "protobuf-fields.json"
OUTPUT = ROOT / "src" / "toono" / "codec" / "schema.txt"
HEADER = """\
# SPDX-License-Identifier: Apache-2.0
# Made by scripts/generate_schema.py from facts of Kubernetes 1.34's wire format.
# = groupVersion package kind...
# message|number jsonName type flags[ map]|... in the order in which JSON is written
# A type that begins with a dot is of the message's own package; flags as the table's.
"""
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r'^\t[^/\n]*`[^`\n]*protobuf:"\w+,(\d+)', re.MULTILINE)
_PACKAGE = re.compile(r"^package ([\w.]+);", re.MULTILINE)

Order = Mapping[str, Sequence[int]]


def declared(modules: Path) -> Order:
    """Return each message's field numbers in the order of its Go struct."""
    found: dict[str, list[int]] = {}
    for proto in modules.rglob("generated.proto"):
        package = _PACKAGE.search(proto.read_text())
        assert package is not None, proto
        prefix = ".".join(package[1].split(".")[-2:])
        for source in sorted(proto.parent.glob("*.go")):
            for name, body in _STRUCT.findall(source.read_text()):
                if numbers := [int(number) for number in _NUMBER.findall(body)]:
                    found.setdefault(f"{prefix}.{name}", numbers)
    return found


def kept(messages: Mapping[str, object]) -> Order:
    """Return the order of the file that exists."""
    return {
        name: [field.number for field in schema.fields_of(name)] for name in messages
    }


def lines(table: Mapping[str, Mapping[str, object]], order: Order) -> Iterator[str]:
    """Yield the file's lines."""
    packages: dict[str, list[str]] = {}
    for gvk, message in sorted(table["kinds"].items()):
        group_version, _, kind = gvk.rpartition("/")
        package, _, name = str(message).rpartition(".")
        assert name == kind, gvk
        packages.setdefault(f"{group_version} {package}", []).append(kind)
    for head, kinds in packages.items():
        yield f"= {head} {' '.join(kinds)}"
    for name, rows in sorted(table["messages"].items()):
        if name not in order:
            print(f"{name}: no Go struct, in the order of its numbers")
        assert isinstance(rows, list)
        rows.sort(key=lambda row: order[name].index(row[0]) if name in order else 0)
        yield "|".join([name, *(_field(row, name) for row in rows)])


def _field(row: Sequence[str], message: str) -> str:
    number, name, kind, flags, *key = row
    package = message.rpartition(".")[0]
    if kind.startswith(package + "."):
        kind = kind.removeprefix(package)
    assert key in ([], ["string"])
    return " ".join([str(number), name, kind, flags or "-", *(["map"] * len(key))])


def main(arguments: Sequence[str]) -> None:
    table = json.loads(TABLE.read_text())
    messages = table["messages"]
    order = declared(Path(arguments[0])) if arguments else kept(messages)
    OUTPUT.write_text(HEADER + "".join(f"{line}\n" for line in lines(table, order)))


if __name__ == "__main__":
    main(sys.argv[1:])
