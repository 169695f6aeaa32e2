# SPDX-License-Identifier: Apache-2.0
"""Where a scope is found: by its question, and by what it may speak of.

An index alone: what scopes hold, and which of them decides, is not known here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from toono.cache.scope import Question, Scope
from toono.kube.selectors import pinned_name


@dataclass(slots=True)
class Family:
    """A component's scopes of one resource: of all names, and by the one they name."""

    questions: dict[Question, Scope] = field(default_factory=dict)
    wide: list[Scope] = field(default_factory=list)
    named: dict[str, list[Scope]] = field(default_factory=dict)


class Index:
    """All scopes of the node."""

    def __init__(self) -> None:
        self._families: dict[tuple[str, str, str], Family] = {}
        self._askers: dict[tuple[str, str], list[str]] = {}
        self.count = 0

    def place(self, scope: Scope) -> None:
        """Add a scope, the first of its question."""
        self.count += 1
        question = scope.question
        place = (question.component, question.group, question.resource)
        family = self._families.get(place)
        if family is None:
            family = self._families[place] = Family()
            askers = self._askers.setdefault((question.group, question.resource), [])
            askers.append(question.component)
        family.questions[question] = scope
        name = name_of(question)
        if name:
            family.named.setdefault(name, []).append(scope)
        else:
            family.wide.append(scope)

    def remove(self, scope: Scope) -> None:
        """Take a scope out."""
        question = scope.question
        family = self._families[question.component, question.group, question.resource]
        del family.questions[question]
        for some in (family.wide, *family.named.values()):
            some[:] = [one for one in some if one is not scope]
        self.count -= 1

    def find(self, question: Question) -> Scope | None:
        """Return the scope of exactly this question."""
        family = self._families.get((question[0], question[1], question[3]))
        return family.questions.get(question) if family else None

    def about(
        self, component: str, group: str, resource: str, name: str
    ) -> Sequence[Scope]:
        """Return a component's scopes of all names, and those of `name` if it is set."""
        family = self._families.get((component, group, resource))
        if family is None:
            return ()
        named = family.named.get(name)
        return [*(named or ()), *family.wide]

    def of_all(self, group: str, resource: str, name: str) -> Sequence[Scope]:
        """Return the same of every component of the node."""
        found: list[Scope] = []
        for component in self._askers.get((group, resource), ()):
            found += self.about(component, group, resource, name)
        return found

    def beside(self, scope: Scope) -> Sequence[Scope]:
        """Return whatever may speak of what `scope` speaks of, itself too."""
        question = scope.question
        group, resource = question.group, question.resource
        name = name_of(question)
        if name:
            return self.of_all(group, resource, name)
        return [
            one
            for component in self._askers.get((group, resource), ())
            for one in self._families[component, group, resource].questions.values()
        ]

    def all(self) -> Iterable[Scope]:
        """Return every scope, by component and resource."""
        for family in self._families.values():
            yield from family.questions.values()


def name_of(question: Question) -> str:
    """Return the one name that a question is about; nothing if it is about many."""
    return question.name or pinned_name(question.field_selector)
