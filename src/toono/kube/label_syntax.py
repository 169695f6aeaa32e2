# SPDX-License-Identifier: Apache-2.0
"""The text of a label selector → requirements, or the API server's own refusal.

Syntax and messages are those of k8s.io/apimachinery/pkg/labels: a client that reads
them must not see who answered.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from toono.errors import RequestError
from toono.kube.names import quoted
from toono.kube.requirements import Requirement, parse_int

_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_IS_NAME = re.compile(rf"(?:{_NAME})\Z")
_IS_SUBDOMAIN = re.compile(rf"(?:{_SUBDOMAIN})\Z")
MAX_NAME = 63
MAX_PREFIX = 253

_NAME_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', "
    f"regex used for validation is '{_NAME}')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, "
    "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
    "'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'({_NAME})?')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
    "characters, '-' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_OPERATORS = {
    "in": "in",
    "notin": "notin",
    "=": "in",
    "==": "in",
    "!=": "notin",
    ">": ">",
    "<": "<",
}
_OPERATOR_NAMES = "in, notin, =, ==, !=, gt, lt"


class _Token(NamedTuple):
    kind: str
    """word, end, bad, or the symbol itself."""
    text: str


_END = _Token("end", "")
_TOKENS = re.compile(
    r"[ \t\r\n]*(?:(?P<symbol>[=!(),<>]+)|(?P<word>[^=!(),<> \t\r\n]+))"
)
_SYMBOLS = ("==", "!=", "=", "!", "(", ")", ",", ">", "<")


def parse(text: str) -> list[Requirement]:
    """Return the requirements of a selector, in the order they stand there.

    Raises RequestError 400 with the API server's message where it has no meaning.
    """
    return _Parser(_tokens(text)).parse()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    for match in _TOKENS.finditer(text):
        if match["word"]:
            tokens.append(_Token("word", match["word"]))
        else:
            tokens.extend(_symbols(match["symbol"]))
    tokens.append(_END)
    return tokens


def _symbols(run: str) -> list[_Token]:
    """Cut a run of symbols as the API server's lexer does: longest known first."""
    tokens = []
    while run:
        symbol = next(symbol for symbol in _SYMBOLS if run.startswith(symbol))
        tokens.append(_Token(symbol, symbol))
        run = run[len(symbol) :]
    return tokens


class _Parser:
    """Recursive descent over tokens; each method consumes what it names."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        if token is not _END:
            self._at += 1
        return token

    @property
    def _ahead(self) -> _Token:
        return self._tokens[self._at]

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self._ahead.kind in ("word", "!"):
            found.append(self._requirement())
            token = self._next()
            if token.kind == "end":
                return found
            if token.kind != ",":
                raise _bad(f"found '{token.text}', expected: ',' or 'end of string'")
            if self._ahead.kind not in ("word", "!"):
                raise _bad(
                    f"found '{self._ahead.text}', expected: identifier after ','"
                )
        if self._ahead.kind != "end":
            raise _bad(
                f"found '{self._ahead.text}', expected: !, identifier, "
                "or 'end of string'"
            )
        return found

    def _requirement(self) -> Requirement:
        try:
            return self._one()
        except _RequirementError as exc:
            raise _bad(f"unable to parse requirement: {exc}") from None

    def _one(self) -> Requirement:
        token = self._next()
        absent = token.kind == "!"
        if absent:
            token = self._next()
        if token.kind != "word":
            raise _RequirementError(f"found '{token.text}', expected: identifier")
        key = token.text
        if problems := _key_problems(key):
            raise _RequirementError(_invalid("<nil>", key, problems))
        if absent:  # what may follow is refused by the caller
            return Requirement(key, "!", frozenset())
        if self._ahead.kind in ("end", ","):
            return Requirement(key, "exists", frozenset())
        operator = self._operator()
        if operator in ("in", "notin"):
            return _checked(key, operator, self._set())
        return _checked(key, _OPERATORS[operator], [self._value()])

    def _operator(self) -> str:
        token = self._next()
        if token.text not in _OPERATORS:
            raise _RequirementError(
                f"found '{token.text}', expected: {_OPERATOR_NAMES}"
            )
        return token.text

    def _value(self) -> str:
        if self._ahead.kind in ("end", ","):
            return ""
        token = self._next()
        if token.kind != "word":
            raise _RequirementError(f"found '{token.text}', expected: identifier")
        return token.text

    def _set(self) -> list[str]:
        token = self._next()
        if token.kind != "(":
            raise _RequirementError(f"found '{token.text}' expected: '('")
        first = self._ahead
        if first.kind not in ("word", ",", ")"):
            raise _RequirementError(
                f"found '{first.text}', expected: ',', ')' or identifier"
            )
        values = [self._member()]
        while (token := self._next()).kind == ",":
            values.append(self._member())
        if token.kind != ")":
            raise _RequirementError(f"found '{token.text}', expected: ',' or ')'")
        return values

    def _member(self) -> str:
        """Return one value of a set; "(a,)" and "(a,,b)" hold an empty one."""
        ahead = self._ahead
        if ahead.kind == "word":
            return self._next().text
        if ahead.kind not in (",", ")"):
            raise _RequirementError(
                f"found '{ahead.text}', expected: ',', or identifier"
            )
        return ""


class _RequirementError(Exception):
    """One requirement cannot be read."""


def _bad(message: str) -> RequestError:
    return RequestError(400, "BadRequest", message)


def _checked(key: str, operator: str, values: Sequence[str]) -> Requirement:
    problems = []
    for index, value in enumerate(sorted(set(values))):
        if operator in (">", "<") and parse_int(value) is None:
            rule = "for 'Gt', 'Lt' operators, the value must be an integer"
            problems.append(_invalid(f"values[{index}]", value, [rule]))
        if found := _value_problems(value):
            problems.append(_invalid(f"values[{index}][{key}]", value, found))
    if len(problems) == 1:
        raise _RequirementError(problems[0])
    if problems:
        raise _RequirementError(f"[{', '.join(dict.fromkeys(problems))}]")
    return Requirement(key, operator, frozenset(values))


def _invalid(field: str, value: str, problems: Sequence[str]) -> str:
    return f"{field}: Invalid value: {quoted(value)}: {'; '.join(problems)}"


def _key_problems(key: str) -> list[str]:
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return [
            f"a valid label key {_NAME_RULE} with an optional DNS subdomain prefix "
            "and '/' (e.g. 'example.com/MyName')"
        ]
    problems = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash:
        problems += [f"prefix part {problem}" for problem in _prefix_problems(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > MAX_NAME:
        problems.append(f"name part must be no more than {MAX_NAME} bytes")
    if not _IS_NAME.match(name):
        problems.append(f"name part {_NAME_RULE}")
    return problems


def _prefix_problems(prefix: str) -> list[str]:
    problems = []
    if len(prefix) > MAX_PREFIX:
        problems.append(f"must be no more than {MAX_PREFIX} bytes")
    if not _IS_SUBDOMAIN.match(prefix):
        problems.append(_SUBDOMAIN_RULE)
    return problems


def _value_problems(value: str) -> list[str]:
    problems = []
    if len(value) > MAX_NAME:
        problems.append(f"must be no more than {MAX_NAME} bytes")
    if value and not _IS_NAME.match(value):
        problems.append(_VALUE_RULE)
    return problems
