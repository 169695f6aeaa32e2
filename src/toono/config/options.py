# SPDX-License-Identifier: Apache-2.0
"""Options from flags, environment and files, checked once, as one frozen value.

Precedence: flags, environment, drop-ins, file, defaults. What cannot be used is an
`OptionError` that names the option, the value and what to do.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from toono.autonomy.lease import MODES, Interception
from toono.config.flags import FLAGS, Flag, Value, variable
from toono.errors import OptionError

API_VERSION, KIND = "toono.io/v1alpha1", "ToonoConfiguration"
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?\Z")
_READABLE = re.compile(r"(?:\*|[a-z][a-z0-9.-]*)\Z")
_TRUE = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_BY_NAME = {flag.name: flag for flag in FLAGS}
NO_LOCAL = (
    "local is not offered: it serves nothing, and only leads a tenant's nodes to the "
    "API server of their cluster by rules of iptables"
)
LOCAL_REMEDY = "run YurtHub on such a node, or edge or cloud here"


@dataclass(frozen=True, slots=True)
class Options:
    """All options, by name, and where those that are not defaults came from."""

    values: Mapping[str, Value]
    sources: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return str(self.values[name])

    def number(self, name: str) -> float:
        value = self.values[name]
        assert isinstance(value, int | float)
        return value

    def flag(self, name: str) -> bool:
        value = self.values[name]
        assert isinstance(value, bool)
        return value

    def words(self, name: str) -> tuple[str, ...]:
        value = self.values[name]
        assert isinstance(value, tuple)
        return value

    @property
    def later(self) -> list[Flag]:
        """Options that were set and whose part does not exist yet."""
        return [flag for flag in FLAGS if flag.comes and flag.name in self.sources]

    @property
    def unheeded(self) -> list[str]:
        """What was asked for and is not done, a line each."""
        return [
            f"--{one.name} is taken and works with {one.comes}" for one in self.later
        ]


def load(
    flags: Mapping[str, str | bool | tuple[str, ...]],
    environment: Mapping[str, str],
    *,
    file: Path | None = None,
    drop_ins: Path | None = None,
) -> Options:
    """Return the options of all sources together; OptionError where one is bad."""
    values: dict[str, Value] = {flag.name: flag.default for flag in FLAGS}
    sources: dict[str, str] = {}
    layers: list[tuple[str, Mapping[str, Any]]] = []
    if file is not None:
        layers.append((str(file), _read(file)))
    if drop_ins is not None:
        layers += [(str(one), _read(one)) for one in _drop_ins(drop_ins)]
    layers.append(("environment", _environment(environment)))
    layers.append(("flag", flags))
    for source, layer in layers:
        for name, given in layer.items():
            values[name] = convert(_BY_NAME[name], given)
            sources[name] = source
    options = Options(values, sources)
    check(options)
    return options


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        flag.name: environment[variable(flag)]
        for flag in FLAGS
        if variable(flag) in environment
    }


def _drop_ins(directory: Path) -> list[Path]:
    """Return the files of a directory in order; it was named, so it has to be there."""
    if not directory.is_dir():
        raise OptionError(
            "--config-dir", f"{directory} is no directory", "make it, or leave it out"
        )
    return sorted(directory.glob("*.yaml"))


def _read(path: Path) -> dict[str, Any]:
    """Return a file's options by flag name; OptionError with the line where one is bad."""
    try:
        text = path.read_text()
        content = yaml.safe_load(text) or {}
    except OSError as exc:
        raise OptionError("--config", f"{path}: {exc.strerror}") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise OptionError("--config", f"{path} is no YAML: {_in_a_line(exc)}") from exc
    if not isinstance(content, dict):
        raise OptionError("--config", f"{path} holds no mapping")
    head = (content.pop("apiVersion", API_VERSION), content.pop("kind", KIND))
    if head != (API_VERSION, KIND):
        raise OptionError("--config", f"{path} is no {KIND} of {API_VERSION}")
    known = {_camel(flag.name): flag.name for flag in FLAGS}
    for key in content:
        if key not in known:
            line = next(
                (
                    n
                    for n, one in enumerate(text.splitlines(), 1)
                    if one.startswith(key)
                ),
                1,
            )
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            raise OptionError(f"{path}:{line}", f"unknown field {key}", hint)
    return {known[key]: value for key, value in content.items()}


def _in_a_line(exc: yaml.YAMLError | UnicodeDecodeError) -> str:
    """Return what is wrong and where; PyYAML's own words are a paragraph."""
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark is not None:
        mark = exc.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {exc.problem}"
    return " ".join(str(exc).split())


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def convert(flag: Flag, given: object) -> Value:
    """Return a value of the flag's kind; OptionError where it is none."""
    option = f"--{flag.name}"
    if flag.kind == "flag":
        known = given if isinstance(given, bool) else _TRUE.get(str(given).lower())
        if known is None:
            raise OptionError(option, f"{given!r} is neither true nor false")
        return known
    if flag.kind == "integer":
        try:
            return int(str(given))
        except ValueError as exc:
            raise OptionError(option, f"{given!r} is no whole number") from exc
    if flag.kind == "duration":
        return seconds_of(option, str(given))
    if flag.kind == "list":
        many = given if isinstance(given, list | tuple) else [given]
        words = (word.strip() for one in many for word in str(one).split(","))
        return tuple(word for word in words if word)
    return str(given)


def seconds_of(option: str, given: str) -> float:
    """Return the seconds of a duration such as 1h30m or 10s."""
    match = _DURATION.match(given)
    if not given or match is None or not any(match.groups()):
        raise OptionError(option, f"{given!r} is no duration", "write it as 10s")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def check(options: Options) -> None:
    """Refuse values that no hub could run with."""
    if options.text("working-mode") == "local":
        raise OptionError("--working-mode", NO_LOCAL, LOCAL_REMEDY)
    for name, allowed in (
        ("lb-mode", ("rr", "priority")),
        ("working-mode", ("edge", "cloud")),
        ("bootstrap-mode", ("token", "kubeletcertificate")),
        ("events-while-offline", ("spool", "503")),
        ("status-while-offline", ("503", "spool")),
        ("lease-interception", MODES),
        ("log-format", ("text", "json")),
        ("log-level", ("debug", "info", "warning", "error")),
    ):
        if options.text(name) not in allowed:
            remedy = "one of: " + ", ".join(allowed)
            raise OptionError(f"--{name}", f"{options.text(name)!r} is unknown", remedy)
    for name in ("proxy-port", "serve-port", "proxy-secure-port"):
        if not 0 <= options.number(name) <= 65535:
            raise OptionError(f"--{name}", f"{options.values[name]} is no port")
    for name in ("spool-max-writes", "spool-max-mebibytes", "min-request-timeout"):
        if options.number(name) < 1:
            raise OptionError(f"--{name}", f"{options.values[name]} is too small")
    for uid in options.words("node-uids"):
        if not uid.isdecimal():
            raise OptionError("--node-uids", f"{uid!r} is no user's number")
    for server in options.words("server-addr"):
        parse_server(server)
    for reader in options.words("offline-readers"):
        parse_reader(reader)
    if options.text("serving-key-file") and not options.text("serving-cert-file"):
        problem = "given without --serving-cert-file"
        raise OptionError("--serving-key-file", problem, "give both")


def interception_of(options: Options) -> Interception:
    """Return who is to renew the node's Lease; `check` has refused other words."""
    word = options.text("lease-interception")
    return next(mode for mode in MODES if mode == word)


def parse_reader(text: str) -> tuple[str, str]:
    """Return (user, resource.group) of an offline reader; OptionError for none."""
    user, equals, resource = text.partition("=")
    if not user or not equals or not _READABLE.match(resource):
        remedy = "write it as system:serviceaccount:NAMESPACE:NAME=services"
        raise OptionError("--offline-readers", f"{text!r} is no reader", remedy)
    return user, resource


def parse_server(text: str) -> tuple[str, int]:
    """Return host and port of one API server; OptionError where it is none."""
    remedy = "write it as https://10.0.0.1:6443"
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise OptionError("--server-addr", f"{text!r}: {exc}", remedy) from exc
    if parts.scheme != "https":
        raise OptionError("--server-addr", f"{text!r} is not https", remedy)
    if not host or parts.path.strip("/") or parts.query or parts.username:
        raise OptionError("--server-addr", f"{text!r} is no server", remedy)
    return host, port or 443
