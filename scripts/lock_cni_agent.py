# SPDX-License-Identifier: Apache-2.0
"""Write examples/cni-agent/requirements.txt from what requirements/dev.txt locks."""

import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
WANTED = ("kubernetes", "msgspec")
HEAD = """\
# SPDX-License-Identifier: Apache-2.0
# kubernetes and msgspec with what they need, as requirements/dev.txt locks it.
# Written by scripts/lock_cni_agent.py.
"""


def needed() -> list[str]:
    """Return the names of all that the image holds."""
    found: set[str] = set()
    waiting = list(WANTED)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        for text in requires(name) or ():
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                waiting.append(one.name)
    return sorted(found)


def main() -> None:
    lines = (ROOT / "requirements" / "dev.txt").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    blocks = {one.partition("==")[0]: one for one in re.split(r"\n(?=[a-z])", text)}
    content = HEAD + "".join(blocks[name].rstrip() + "\n" for name in needed())
    (ROOT / "examples" / "cni-agent" / "requirements.txt").write_text(content)


if __name__ == "__main__":
    main()
