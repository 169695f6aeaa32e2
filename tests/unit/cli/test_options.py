# SPDX-License-Identifier: Apache-2.0
import click
from click.testing import CliRunner

from toono.cli.options import Grouped, options_of, with_flags


@click.command(cls=Grouped)
@with_flags
def show(**given) -> None:
    options = options_of(given)
    click.echo(f"{options.words('cache-agents')} {options.values['enable-dummy-if']}")


def test_lists_may_be_repeated_or_separated_by_commas() -> None:
    arguments = ["--cache-agents=a,b", "--cache-agents", "c"]
    result = CliRunner().invoke(show, [*arguments, "--enable-dummy-if=false"])
    assert result.output == "('a', 'b', 'c') False\n"


def test_a_bare_flag_is_true_as_go_s() -> None:
    assert "True" in CliRunner().invoke(show, ["--enable-dummy-if"]).output


def test_the_environment_is_below_the_flags() -> None:
    result = CliRunner().invoke(show, [], env={"TOONO_CACHE_AGENTS": "x"})
    assert result.output.startswith("('x',)")


def test_help_is_grouped_and_shows_defaults() -> None:
    text = CliRunner().invoke(show, ["--help"]).output
    assert "Listeners:" in text
    assert "[default: 10261]" in text
