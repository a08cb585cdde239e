"""A TOML file on its way to a model: values that are right, and findings, both by path.

Nothing stops at the first error: what is right is kept, so that checks which look at several values
at once can run on the rest.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from edge.config.keylines import KeyPath, line_of
from edge.config.problem import Problem, Problems, dotted_path, show_value, suggest
from edge.config.valuerules import ValueRule, WrongValueError, model_rules

T = TypeVar("T", bound=msgspec.Struct)
VERSION_KEY: Final = "version"


class FileDraft:
    """`data` is what `tomllib` read."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.values: dict[KeyPath, Any] = {}
        self.found: list[tuple[KeyPath, str]] = []

    def report(self, path: KeyPath, text: str) -> None:
        """Something is wrong with the value at `path`."""
        self.found.append((path, text))

    def get(self, *path: str | int) -> Any:
        """The value at `path`, or its default; None when there is none or it is wrong."""
        return self.values.get(path)

    def written(self, *path: str | int) -> bool:
        """Something stands there, right or wrong."""
        here: Any = self.data
        for step in path:
            try:
                here = here[step]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def unknown(self, key: str, known: Iterable[str]) -> str:
        """What to say about a key that nobody knows."""
        return f"unknown key; {suggest(key, known)}"

    def check_version(self, version: int) -> None:
        """The file's own version, where it says one, is this one."""
        said = self.data.get(VERSION_KEY, version)
        if type(said) is not int or said != version:
            self.report(
                (VERSION_KEY,),
                f"this Kerbstone reads files of version {version}, and this one says "
                f"{show_value(said)}; "
                "update Kerbstone, or write the file for this one",
            )

    def table(
        self, model: type[T], path: KeyPath, values: Any, extra: Mapping[str, Any] | None = None
    ) -> T | None:
        """One table of plain values; those of `extra` are read by the caller, and kept as they are.

        None when one that it cannot do without is missing or wrong.
        """
        if not isinstance(values, dict):
            self.report(path, f"{show_value(values)} does not fit; a table belongs here")
            return None
        own = extra or {}
        rules = {key: rule for key, rule in model_rules(model).items() if key not in own}
        for key in values.keys() - rules.keys() - own.keys():
            self.report((*path, key), self.unknown(key, (*rules, *own)))
        built = {key: self.value(rule, path, values) for key, rule in rules.items()}
        if any(rule.required and built[key] is None for key, rule in rules.items()):
            return None
        fields = model.__struct_fields__
        return model(**built, **{key: value for key, value in own.items() if key in fields})

    def value(self, rule: ValueRule, path: KeyPath, values: Mapping[str, Any]) -> Any:
        """One value. Its default when it is missing or wrong; None where it is needed."""
        where = (*path, rule.key)
        if rule.key not in values:
            if rule.required:
                self.report(where, f"is missing; {rule.what} belongs here")
                return None
            if rule.default is not None:
                self.values[where] = rule.default
            return rule.default
        try:
            self.values[where] = rule.check(values[rule.key])
        except WrongValueError as error:
            self.report(where, str(error))
            return rule.default
        return self.values[where]

    def problems(self, file: str, lines: Mapping[KeyPath, int]) -> Problems:
        """All findings, each with its line."""
        return Problems(
            [
                Problem(file, line_of(lines, path), dotted_path(path), text)
                for path, text in self.found
            ]
        )
