# SPDX-License-Identifier: Apache-2.0
"""`toono cache`: what is remembered on this node, and whether it is sound."""

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from toono.cache.inspect import (
    Remembered,
    form_name,
    is_whole,
    lost_questions,
    remembered,
    single,
)
from toono.cli import agents
from toono.cli.asking import OUTPUT
from toono.runtime.clock import SystemClock
from toono.store.sqlite import NAME

DEFAULT = Path("/etc/kubernetes/cache")
PATH = click.option(
    "--disk-cache-path",
    type=click.Path(path_type=Path),
    default=DEFAULT,
    show_default=True,
    envvar="TOONO_DISK_CACHE_PATH",
    help="Of the hub's cache.",
)


@click.group()
def command() -> None:
    """Look at what is remembered; safe while a hub runs.

    \b
    Examples:
      toono cache ls
      toono cache get kubelet pods default/web-0
      toono cache verify
      toono cache agents
    """


command.add_command(agents.command, "agents")


@command.command("ls")
@PATH
@OUTPUT
def list_questions(disk_cache_path: Path, output: str) -> None:
    """List the questions that can be answered while cut off.

    \b
    Examples:
      toono cache ls
      toono cache ls -o json --disk-cache-path=/var/lib/toono
    """
    found = sorted(remembered(_database(disk_cache_path)), key=lambda one: one.question)
    rows = [_summary(one) for one in found]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("nothing is remembered")
        return
    table = Table(box=None, pad_edge=False)
    for name in (
        "COMPONENT",
        "RESOURCE",
        "QUESTION",
        "FORM",
        "VERSION",
        "OBJECTS",
        "AGE",
        "STATE",
    ):
        table.add_column(name)
    for row in rows:
        table.add_row(*(str(row[key]) for key in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@command.command("get")
@PATH
@click.argument("component")
@click.argument("resource")
@click.argument("name")
def get(disk_cache_path: Path, component: str, resource: str, name: str) -> None:
    """Print one remembered object: [NAMESPACE/]NAME.

    The newest that is whole; else what of it was seen, metadata or a row of a Table.

    \b
    Examples:
      toono cache get kubelet pods default/web-0
      toono cache get kubelet nodes edge-1
    """
    namespace, _, last = name.rpartition("/")
    best: Remembered | None = None
    for one in remembered(_database(disk_cache_path)):
        asked = one.question
        if (asked.component, asked.resource) == (component, resource) and (
            (namespace, last) in one.objects
        ):
            best = one if best is None else max(best, one, key=_worth)
    if best is None:
        click.echo(f"toono: {component} remembers no {resource} {name}", err=True)
        sys.exit(1)
    content = single(best, (namespace, last))
    if content is None:
        click.echo(f"toono: no way to show {best.question.media_type}", err=True)
        sys.exit(1)
    if not is_whole(best):
        click.echo(f"toono: only this was seen of it: {form_name(best)}", err=True)
    sys.stdout.buffer.write(content)


@command.command("verify")
@PATH
def verify(disk_cache_path: Path) -> None:
    """Check every checksum and every set of names; exit 1 on damage.

    \b
    Example:
      toono cache verify --disk-cache-path=/var/lib/toono
    """
    database = _database(disk_cache_path)
    lost = lost_questions(database)
    problems = [f"{lost} questions cannot be read"] if lost else []
    questions = objects = 0
    for one in remembered(database):
        questions += 1
        objects += len(one.objects)
        name = f"{one.question.component} {one.question.resource}"
        problems += [f"{name}: {problem}" for problem in one.problems]
    for problem in problems:
        click.echo(problem)
    click.echo(f"{questions} questions, {objects} objects, {len(problems)} problems")
    if problems:
        sys.exit(1)


def _database(path: Path) -> Path:
    return path / "_internal" / "toono" / NAME


def _worth(one: Remembered) -> tuple[bool, int]:
    return is_whole(one), one.version


def _summary(one: Remembered) -> dict[str, object]:
    question, row = one.question, one.row
    where = [question.namespace and f"-n {question.namespace}", question.name]
    where += [question.label_selector and f"-l {question.label_selector}"]
    where += [question.field_selector]
    age = max(0, int(SystemClock().wall() - row.confirmed_at))
    state = "imported" if row.imported else "complete" if row.complete else "incomplete"
    group = f".{question.group}" if question.group else ""
    return {
        "component": question.component,
        "resource": f"{question.resource}.{question.version}{group}",
        "question": " ".join(part for part in where if part) or "all",
        "form": form_name(one),
        "version": one.version,
        "objects": len(one.objects),
        "age": f"{age}s",
        "state": "damaged" if one.problems else state,
    }
