# SPDX-License-Identifier: Apache-2.0
import json

from click.testing import CliRunner

from toono import __version__
from toono.cli import toono


def test_version_is_for_people_and_for_programs() -> None:
    assert __version__ in CliRunner().invoke(toono, ["version"]).output
    found = json.loads(CliRunner().invoke(toono, ["version", "-o", "json"]).output)
    assert found["version"] == __version__


def test_every_command_has_a_help_text() -> None:
    listed = CliRunner().invoke(toono, ["--help"]).output
    for name in (
        "run",
        "demo",
        "check",
        "cache",
        "api-resources",
        "node-setup",
        "version",
    ):
        assert name in listed
        assert CliRunner().invoke(toono, [name, "--help"]).exit_code == 0
