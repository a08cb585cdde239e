"""What one value may be, whoever says so: a field of the model, or an option of a driver.

msgspec keeps the bounds; the texts are ours, since they are read by a person at the roadside.
"""

import datetime
import math
import re
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from edge.config.problem import show_value, suggest
from edge.core.driver import Option

TYPE_TEXTS: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    datetime.date: "a date such as 2027-03-31, without quotes",
}
LIST_TEXTS: Final[dict[type, str]] = {str: "a list of texts in quotes", float: "a list of numbers"}
TEXT_LIMIT: Final = 512  # characters of any text; a path has fewer
CHOICES_SHOWN: Final = 24  # choices that are not all told any more
LIST_LIMIT: Final = 128  # items of any list


class WrongValueError(Exception):
    """The value is not what the rule wants; the text says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class ValueRule:
    """One value: type, bounds, choices. `form` is what `pattern` means, in words.

    With `listed` it is a list of such values. `kept` makes of a text what is kept of it, and raises
    ValueError for one that is wrong.
    """

    key: str
    type: type
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    pattern: str = ""
    form: str = ""
    default: Any = None
    required: bool = False
    text: str = ""
    listed: bool = False
    kept: Callable[[str], str] | None = None

    @property
    def what(self) -> str:
        """What belongs here, as the middle of a sentence: `a whole number from 1 to 247`."""
        if len(self.choices) > CHOICES_SHOWN:
            return f"one of the {len(self.choices)} that there are"
        if self.choices:
            one = "one of " + ", ".join(show_value(c, self.key) for c in self.choices)
            return f"a list, each {one}" if self.listed else one
        if self.listed and self.type in LIST_TEXTS:
            return LIST_TEXTS[self.type]
        if self.form:
            return self.form
        words = TYPE_TEXTS.get(self.type, "a value")
        low, high = show_value(self.low, self.key), show_value(self.high, self.key)
        match self.low, self.high:
            case None, None:
                return words
            case _, None:
                return f"{words} from {low} on"
            case None, _:
                return f"{words} up to {high}"
        return f"{words} from {low} to {high}"

    def check(self, value: Any) -> Any:
        """The value as the model keeps it. Raises WrongValueError."""
        if self.listed:
            return self._each(value)
        value = self._typed(value)
        if self.choices and value not in self.choices:
            raise WrongValueError(
                f"{show_value(value, self.key)} is not {self.what}{self._hint(value)}"
            )
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise WrongValueError(f"{show_value(value, self.key)} is not {self.form}")
        if isinstance(value, int | float) and not self._within(value):
            raise WrongValueError(f"{show_value(value, self.key)} is not {self._between()}")
        return float(value) if self.type is float else value

    def _each(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            words = LIST_TEXTS[self.type]
            raise WrongValueError(
                f"{show_value(value, self.key)} does not fit; {words} belongs here"
            )
        if not value or len(value) > LIST_LIMIT:
            raise WrongValueError(f"a list of 1 to {LIST_LIMIT} belongs here")
        one = replace(self, listed=False)
        found = tuple(one.check(item) for item in value)
        twice = [item for item in found if found.count(item) > 1]
        if twice and self.type is str:
            raise WrongValueError(f"{show_value(twice[0], self.key)} is listed twice")
        return found

    def _typed(self, value: Any) -> Any:
        fits = isinstance(value, int | float) if self.type is float else type(value) is self.type
        if not fits or (isinstance(value, bool) and self.type is not bool):
            raise WrongValueError(
                f"{show_value(value, self.key)} does not fit; {self.what} belongs here"
            )
        if isinstance(value, str):
            if len(value) > TEXT_LIMIT:
                raise WrongValueError(f"this has {len(value)} characters, more than {TEXT_LIMIT}")
            if self.kept is not None:
                return self._kept(value, self.kept)
            if not value.isprintable():
                raise WrongValueError("this holds a character that cannot be printed; leave it out")
        if isinstance(value, int) and value.bit_length() > 64:
            raise WrongValueError(
                f"{show_value(value, self.key)} does not fit; {self.what} belongs here"
            )
        return value

    def _kept(self, value: str, kept: Callable[[str], str]) -> str:
        try:
            return kept(value)
        except ValueError as error:
            shown = show_value(value, self.key)
            raise WrongValueError(f"{shown} is not {self.form}: {error}") from None

    def _within(self, value: float) -> bool:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return math.isfinite(value) and low <= value <= high

    def _between(self) -> str:
        if self.low is not None and self.high is not None:
            return f"between {show_value(self.low, self.key)} and {show_value(self.high, self.key)}"
        return self.what

    def _hint(self, value: Any) -> str:
        words = [c for c in self.choices if isinstance(c, str)]
        hint = suggest(value, words) if isinstance(value, str) and words else ""
        return f"; {hint}" if hint.startswith("did you mean") else ""


def option_rule(key: str, option: Option) -> ValueRule:
    """The rule for an option of a driver."""
    kind, _ = _without_none(option.type)
    kind, listed = _item(kind)
    return ValueRule(
        key,
        kind if isinstance(kind, type) else str,
        option.low,
        option.high,
        option.choices,
        default=None if option.required else option.default,
        required=option.required,
        text=option.text,
        listed=listed,
    )


@cache
def model_rules(model: type[msgspec.Struct]) -> dict[str, ValueRule]:
    """Key -> rule, for the plain fields of one table."""
    return {field.encode_name: _of_field(field) for field in msgspec.structs.fields(model)}


def _of_field(field: msgspec.structs.FieldInfo) -> ValueRule:
    hint, metas = _without_meta(field.type)
    hint, listed = _item(hint)
    hint, of_each = _without_meta(hint)
    metas = [*of_each, *metas]
    low = high = None
    pattern = form = text = ""
    kept = None
    for meta in metas:
        low = meta.ge if meta.ge is not None else low
        high = meta.le if meta.le is not None else high
        pattern = meta.pattern or pattern
        form = (meta.extra or {}).get("form", form)
        kept = (meta.extra or {}).get("kept", kept)
        text = meta.description or text
    choices: tuple[Any, ...] = ()
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        hint = type(choices[0])
    default = None if field.required else field.default
    return ValueRule(
        field.encode_name,
        hint,
        low,
        high,
        choices,
        pattern,
        form,
        default,
        field.required,
        text,
        listed,
        kept,
    )


def _item(hint: Any) -> tuple[Any, bool]:
    """What a list is of; `tuple[str, ...]` is one."""
    return (get_args(hint)[0], True) if get_origin(hint) is tuple else (hint, False)


def _without_meta(hint: Any) -> tuple[Any, list[msgspec.Meta]]:
    """Looks through `Annotated` and `| None`; collects what was annotated, inner first."""
    hint, _ = _without_none(hint)
    if get_origin(hint) is not Annotated:
        return hint, []
    inner, *notes = get_args(hint)
    base, found = _without_meta(inner)
    return base, [*found, *(note for note in notes if isinstance(note, msgspec.Meta))]


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        rest = [part for part in get_args(hint) if part is not type(None)]
        return rest[0], len(rest) < len(get_args(hint))
    return hint, False
