# SPDX-License-Identifier: Apache-2.0
import json
import logging

import pytest

from toono.runtime.telemetry import configure


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_json_lines_hold_words_facts_and_where_they_are_from(capsys) -> None:
    configure("json", "info")
    logging.getLogger("toono.x").info("said", extra={"node": "edge-1", "count": 3})
    (line,) = lines(capsys)
    found = json.loads(line)
    assert found.pop("ts").endswith("Z")
    assert found == {
        "msg": "said",
        "level": "info",
        "logger": "toono.x",
        "node": "edge-1",
        "count": 3,
    }


def test_what_json_does_not_know_is_written_as_text(capsys) -> None:
    configure("json", "info")
    facts = {"path": b"/api\xff", "err": ValueError("why"), "many": {1}}
    logging.getLogger("toono.x").warning("said", extra=facts)
    found = json.loads(lines(capsys)[0])
    assert (found["path"], found["err"]) == ("b'/api\\xff'", "why")


def test_text_is_one_line_without_colours_where_nobody_looks(capsys) -> None:
    configure("text", "info")
    logging.getLogger("toono.x").info("said", extra={"node": "edge-1"})
    (line,) = lines(capsys)
    assert "said" in line
    assert "node=edge-1" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_line_end_in_a_fact_makes_no_line_of_its_own(form: str, capsys) -> None:
    configure(form, "info")
    evil = "x\n2026-01-01 [error] forged"
    logging.getLogger("toono.x").info("said", extra={"agent": evil})
    assert len(lines(capsys)) == 1


def test_a_failure_is_told_with_its_trace(capsys) -> None:
    configure("json", "info")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("toono.x").exception("broke")
    found = json.loads(lines(capsys)[0])
    assert found["msg"] == "broke"
    assert "ValueError: why" in found["exception"]


@pytest.mark.parametrize(("level", "count"), [("debug", 2), ("info", 1), ("ERROR", 0)])
def test_what_is_below_the_level_is_not_written(level, count, capsys) -> None:
    configure("json", level)
    logger = logging.getLogger("toono.x")
    logger.debug("one")
    logger.info("two")
    assert len(lines(capsys)) == count


def test_configuring_again_replaces_what_was(capsys) -> None:
    configure("text", "info")
    configure("json", "info")
    logging.getLogger("toono.x").info("once")
    (line,) = lines(capsys)
    json.loads(line)
