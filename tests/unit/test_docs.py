# SPDX-License-Identifier: Apache-2.0
"""What the documents say exists: pages, commands, options, and the generated pages."""

import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from toono.cli import toono
from toono.config.options import load

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "bench").rglob("*.md"),
    ]
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\s*(?:\$ |# )?(toono(?: [^#|`<>\n]*)?)$", re.MULTILINE)
INLINE = re.compile(r"`(toono [^`]+)`")
OPTION = re.compile(r"(?<![\w/-])--[a-z][a-z0-9-]*")
FOREIGN = re.compile(r"(?:etcd|kubelet|API server|kubectl|K3s)'s\s+`--[^`]+`")
"""An option of another program, said to be its own."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


pages = pytest.mark.parametrize("page", PAGES, ids=name_of)


# -- links --------------------------------------------------------------------------


@pages
def test_no_relative_link_is_dead(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(linked), f"{target}: there is no such heading"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text())
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


def test_every_page_can_be_found_from_the_readme() -> None:
    found, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in found:
            continue
        found.add(page)
        for target in LINK.findall(page.read_text()):
            linked = (page.parent / target.partition("#")[0]).resolve()
            if linked.is_dir():  # a link to a folder leads to its pages
                waiting += linked.glob("*.md")
            elif linked.suffix == ".md" and linked.exists():
                waiting.append(linked)
    assert [name_of(page) for page in PAGES if page not in found] == []


# -- commands -----------------------------------------------------------------------


def command_lines(text: str) -> Iterator[str]:
    """Yield each `toono ...` of a page: lines of its code blocks, and inline code."""
    for block in FENCE.finditer(text):
        for line in COMMAND.findall(block.group().replace("\\\n", " ")):
            yield line.strip()
    for line in INLINE.findall(FENCE.sub("", text)):
        yield line.strip()


@pages
def test_every_command_line_can_be_typed(page: Path) -> None:
    for line in command_lines(page.read_text()):
        words = shlex.split(re.sub(r"\$\([^)]*\)", "1", line))[1:]
        if not words or " [" in line:
            continue  # the program's name alone, or a synopsis
        try:
            parse(toono, words)
        except (click.exceptions.Exit, click.MissingParameter):
            pass  # --help, or a command that is named without its arguments
        except click.ClickException as exc:
            pytest.fail(f"{line}: {exc.format_message()}")


def parse(command: click.Command, words: list[str]) -> None:
    """Have click read `words` down to the last subcommand; nothing is run."""
    context = click.Context(command, info_name=command.name)
    if isinstance(command, click.Group):
        if not words or words[0].startswith("-"):
            return
        name, chosen, rest = command.resolve_command(context, words)
        assert chosen is not None, name
        parse(chosen, rest)
        return
    command.make_context(command.name, list(words), resilient_parsing=False)


def options(command: click.Command) -> set[str]:
    found = {one for param in command.params for one in param.opts}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found |= options(below)
    return found


@pages
def test_every_option_named_exists(page: Path) -> None:
    named = set(OPTION.findall(FOREIGN.sub("", FENCE.sub("", page.read_text()))))
    assert named - options(toono) - {"--help", "--only"} == set()


# -- proofs and messages --------------------------------------------------------------


@pages
def test_every_test_that_is_named_exists(page: Path) -> None:
    """A page that says what proves a thing must not outlive the proof."""
    text = page.read_text()
    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`(test_\w+)`", text):
        assert name in all_tests(), name


@cache
def all_tests() -> frozenset[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    found = (
        re.findall(r"^def (test_\w+)", one.read_text(), re.MULTILINE) for one in files
    )
    return frozenset(name for names in found for name in names)


SPEAKERS = (
    "config/node.py",
    "config/options.py",
    "cli/check.py",
    "cli/who.py",
    "certs/serving.py",
    "identity/ahead.py",
    "identity/book.py",
    "identity/rights.py",
    "wire/tls.py",
    "app/listening.py",
    "app/storage.py",
    "store/directory.py",
    "store/inspect.py",
)
"""Who writes what `toono run` and `toono check` say when something is missing."""
TELLERS = {"OptionError", "Finding", "StoreUnavailableError", "StoreInUseError"}
REMEDY = 2
"""Place of OptionError's remedy, which is the answer and need not be explained."""


def messages(path: Path) -> Iterator[str]:
    """Yield each message in a module, with `…` for what it is told of."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called not in TELLERS and called != "log.warning":
            continue
        for argument in node.args[:REMEDY]:
            message = template(argument).strip()
            if " " in message.strip("… "):
                yield message


def template(argument: ast.expr) -> str:
    if isinstance(argument, ast.Constant):
        return str(argument.value)
    if isinstance(argument, ast.JoinedStr):
        return "".join(map(template, argument.values))
    return "…"


@pytest.mark.parametrize("module", SPEAKERS)
def test_every_message_is_explained(module: str) -> None:
    page = (ROOT / "docs" / "how-to" / "troubleshooting.md").read_text()
    found = list(messages(ROOT / "src" / "toono" / module))
    assert found, "who speaks is looked for in the wrong place"
    assert [one for one in found if not re.search(pattern(one), page)] == []


def pattern(message: str) -> str:
    """Return what finds a message in the page, which may name what it is told of."""
    pieces = re.sub(r"…(?::…)+", "…", message).split("…")
    return ".+?".join(map(re.escape, pieces))


# -- examples -----------------------------------------------------------------------


def every_command(command: click.Command, *above: str) -> Iterator[tuple[str, ...]]:
    yield above
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from every_command(below, *above, name)


@pytest.mark.parametrize("path", list(every_command(toono)), ids=" ".join)
def test_examples_in_the_help_can_be_typed(path: tuple[str, ...]) -> None:
    command: click.Command = toono
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    text = f"{command.help or ''}\n{command.epilog or ''}"
    lines = re.findall(r"^ *(toono .*)$", text, re.MULTILINE)
    assert lines, "its help shows no example"
    for line in lines:
        words = shlex.split(re.split(r"  +", line.strip())[0])
        parse(toono, words[1:])


# -- what is generated --------------------------------------------------------------


def generator():
    path = ROOT / "scripts" / "generate_reference.py"
    spec = importlib.util.spec_from_file_location("generate_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["flags.md", "metrics.md", "limits.md"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    told = "python scripts/generate_reference.py writes it anew"
    page = ROOT / "docs" / "reference" / name
    assert page.read_text() == generator().PAGES[name](), told


def test_the_readme_shows_the_speed_that_was_measured_last() -> None:
    text = (ROOT / "README.md").read_text()
    assert text == generator().readme(text), "python scripts/generate_reference.py"
    assert "GET passed through" in text


def test_the_fields_of_the_reference_are_those_of_the_file(tmp_path) -> None:
    module = generator()
    file = tmp_path / "config.yaml"
    numbers = {"integer": "1", "duration": "1s", "flag": "true", "list": "[]"}
    chosen = [flag for flag in module.FLAGS if flag.kind in numbers]
    lines = [f"{module._field(flag)}: {numbers[flag.kind]}" for flag in chosen]
    file.write_text("\n".join(lines))
    assert load({}, {}, file=file).sources.keys() == {flag.name for flag in chosen}


def test_the_file_that_is_shown_can_be_read(tmp_path) -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "config.yaml"
    file.write_text(shown)
    options = load({}, {}, file=file)
    assert len(options.sources) == len(shown.splitlines()) - 4  # head and list items
    assert options.words("server-addr")[1] == "https://10.0.0.2:6443"
