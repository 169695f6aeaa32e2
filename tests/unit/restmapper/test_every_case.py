# SPDX-License-Identifier: Apache-2.0
"""Every case that was set for the mapper has a test with its id, in each form it needs.

The ids: upstream's behaviours (CR, WB, NS, OLD, DM, RM, GR, AG, MC, DC, SC) and our
own cases (X). A test carries an id in its name (`test_x_33_...`) or in the id of a
parameter (`"WB-2-only-listed"`).
"""

import ast
import re
from pathlib import Path

COUNTS = {
    "CR": range(1, 13),
    "WB": range(1, 5),
    "NS": range(4),
    "OLD": range(1, 6),
    "DM": range(1, 2),
    "RM": range(1, 12),
    "GR": range(1, 8),
    "AG": range(1, 12),
    "MC": range(1, 6),
    "DC": range(1, 4),
    "SC": range(1, 15),
    "X": range(1, 41),
}
CASES = {f"{kind}-{place}" for kind, places in COUNTS.items() for place in places}
ONE_FORM = {
    *(f"AG-{place}" for place in COUNTS["AG"]),  # decoding the aggregated form
    *(f"WB-{place}" for place in COUNTS["WB"]),  # 404 of a version: legacy has those
    *(f"RM-{place}" for place in range(1, 11)),  # a static mapper: no form at all
    "GR-1",  # nothing ever came, in no form
    "MC-4",  # permanent and transient failures of one version: legacy has those
    "MC-5",
    "DC-3",  # modes and times of the file
    "X-19",  # one root in each form
    "X-20",  # from one form to the other
    "X-21",  # parametrised by the form of the empty list
    "X-22",  # blank group and version stand in the aggregated form only
}
"""Cases that stand in one form, or in both at once."""
NAMED = re.compile(r"test_([a-z]+)_(\d+)_")
LABELLED = re.compile(r"([A-Z]+)-(\d+)(?![\d])")


def functions():
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        if file.name == Path(__file__).name:
            continue
        module = ast.parse(file.read_text())
        tables = {
            target.id: node.value
            for node in module.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield node, tables


def strings(node, tables):
    """The literals below a node, and those of the module's tables that it names."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
        elif isinstance(each, ast.Name) and each.id in tables:
            yield from strings(tables[each.id], {})


def cases_of(function, tables):
    found = NAMED.match(function.name)
    if found:
        yield f"{found[1].upper()}-{found[2]}"
    for decorator in function.decorator_list:
        for text in strings(decorator, tables):
            if label := LABELLED.match(text):
                yield f"{label[1]}-{label[2]}"


def covered():
    """Case → whether one of its tests runs in both forms."""
    found = {}
    for function, tables in functions():
        names = {
            each.id
            for decorator in function.decorator_list
            for each in ast.walk(decorator)
            if isinstance(each, ast.Name)
        }
        for case in cases_of(function, tables):
            found[case] = found.get(case, False) or "both_modes" in names
    return found


def test_every_case_has_a_test_named_after_it():
    assert sorted(CASES - covered().keys()) == []


def test_every_case_runs_in_both_forms_where_both_apply():
    only_one = {case for case, both in covered().items() if not both}
    assert sorted((only_one & CASES) - ONE_FORM) == []
