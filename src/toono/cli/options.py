# SPDX-License-Identifier: Apache-2.0
"""The options table as click options, and back to one `Options` value."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from toono.config.flags import FLAGS, Flag
from toono.config.options import Options, load


class Grouped(click.Command):
    """A command whose help shows its options by group, defaults beside them."""

    def format_options(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        taken = {param.name for param in self.params}
        for flag in FLAGS:
            if flag.name.replace("-", "_") not in taken:
                continue
            text = flag.help or "as YurtHub's"
            if flag.default not in ("", ()):
                text += f" [default: {_shown(flag.default)}]"
            if flag.comes:
                text += f" (taken; works with {flag.comes})"
            groups.setdefault(flag.group, []).append((f"--{flag.name}", text))
        own = [param.get_help_record(ctx) for param in self.params if param.help]
        if own:
            groups["Output"] = [one for one in own if one is not None]
        for name, rows in groups.items():
            with formatter.section(name):
                formatter.write_dl(rows)
        with formatter.section("Files"):
            formatter.write_dl(
                [
                    ("--config", "a ToonoConfiguration file"),
                    ("--config-dir", "a directory of drop-ins, read in order"),
                    ("-h, --help", "this text"),
                ]
            )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}s"
    return str(value)


Decorated = Callable[..., Any]


def with_flags(function: Decorated) -> Decorated:
    """Add every option of the table to a click command."""
    return with_these(*(flag.name for flag in FLAGS))(function)


def with_these(*names: str) -> Callable[[Decorated], Decorated]:
    """Add some options of the table to a click command, and the files they come from."""

    def add(function: Decorated) -> Decorated:
        files = click.Path(path_type=Path)
        function = click.option("--config-dir", type=files)(function)
        function = click.option("--config", type=files)(function)
        for flag in reversed(FLAGS):
            if flag.name in names:
                function = _option(flag)(function)
        return function

    return add


def _option(flag: Flag) -> Callable[[Decorated], Decorated]:
    name = f"--{flag.name}"
    if flag.kind == "flag":
        # As Go's flags: --x, --x=true and --x=false.
        return click.option(name, default=None, is_flag=False, flag_value="true")
    return click.option(name, default=None, multiple=flag.kind == "list")


def options_of(given: dict[str, Any]) -> Options:
    """Return the options of a command's parameters and everything below them."""
    file, directory = given.pop("config", None), given.pop("config_dir", None)
    flags = {
        name.replace("_", "-"): value
        for name, value in given.items()
        if value is not None and value != ()
    }
    return load(flags, os.environ, file=file, drop_ins=directory)
