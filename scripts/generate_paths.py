# SPDX-License-Identifier: Apache-2.0
"""Write src/toono/codec/paths.py: where protobuf keeps what field selectors name.

python scripts/generate_paths.py tests/data/wire/protobuf-fields.json
"""

import json
import sys
from pathlib import Path

from toono.codec.selectable import SELECTABLE

HEAD = '''# SPDX-License-Identifier: Apache-2.0
"""Where protobuf keeps what field selectors name.

Rows are (apiVersion, kind, path in JSON) -> (field numbers, scalar type), made by
`scripts/generate_paths.py` from the table of field numbers; do not edit.
"""

PATHS: dict[tuple[str, str, str], tuple[tuple[int, ...], str]] = {
'''
Messages = dict[str, list[list]]
"""By message: [number, JSON name, type, flags, ...] of each field."""


def along(messages: Messages, message: str, path: str) -> tuple[tuple[int, ...], str]:
    """Return the field numbers along a path, and the scalar type at its end."""
    found = []
    for step in path.split("."):
        rows = [row for row in messages[message] if row[1] == step]
        if len(rows) != 1 or "r" in rows[0][3] or "i" in rows[0][3]:
            raise SystemExit(f"{path}: no plain {step} in {message}")
        found.append(rows[0][0])
        message = rows[0][2]
    if message not in ("string", "bool", "int32"):
        raise SystemExit(f"{path}: a {message} is no scalar that selectors compare")
    return tuple(found), message


def generate(fields: dict) -> str:
    """Return the whole module: a row for each version of each selectable kind."""
    lines = [HEAD]
    for name, message in sorted(fields["kinds"].items()):
        api_version, _, kind = name.rpartition("/")
        group = api_version.rpartition("/")[0]
        table = SELECTABLE.get((group, kind), {})
        paths = {path for row in table.values() for path in row.paths}
        for path in sorted(paths):
            numbers, scalar = along(fields["messages"], message, path)
            steps = ", ".join(map(str, numbers)) + ("," if len(numbers) == 1 else "")
            row = f'    ("{api_version}", "{kind}", "{path}"): (({steps}), "{scalar}"),'
            if len(row) > 88:
                row = (
                    f'    ("{api_version}", "{kind}", "{path}"): (\n'
                    f'        ({steps}),\n        "{scalar}",\n    ),'
                )
            lines.append(row + "\n")
    return "".join([*lines, "}\n"])


def main() -> None:
    """Write the module beside the other codecs."""
    fields = json.loads(Path(sys.argv[1]).read_text())
    target = Path(__file__).parent.parent / "src/toono/codec/paths.py"
    target.write_text(generate(fields))


if __name__ == "__main__":
    main()
