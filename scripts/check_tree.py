# SPDX-License-Identifier: Apache-2.0
"""What no linter here checks: licence lines, module sizes, a test file a module.

The list in `without_twin.txt` may only shrink.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAX_LINES = 400
SPDX = "# SPDX-License-Identifier: Apache-2.0"
WITHOUT_TWIN_FILE = ROOT / "scripts" / "without_twin.txt"


def findings() -> list[str]:
    """Return what is wrong, one line each."""
    found: list[str] = []
    excused = set(WITHOUT_TWIN_FILE.read_text().split())
    for path in sorted((ROOT / "src" / "toono").rglob("*.py")):
        name = path.relative_to(ROOT / "src" / "toono")
        text = path.read_text()
        if text and not text.startswith(SPDX):
            found.append(f"{name}: no SPDX line")
        if len(text.splitlines()) > MAX_LINES:
            found.append(f"{name}: more than {MAX_LINES} lines")
        twin = ROOT / "tests" / "unit" / name.parent / f"test_{name.name}"
        has = twin.exists()
        if name.name == "__init__.py" or name.name == "__main__.py":
            continue
        if not has and str(name) not in excused:
            found.append(f"{name}: no tests/unit/{name.parent}/test_{name.name}")
        if has and str(name) in excused:
            print(f"note: {name} has its test now: take it off without_twin.txt")
    return found


def main() -> int:
    found = findings()
    for one in found:
        print(one)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
