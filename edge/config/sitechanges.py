"""What differs between two configurations of a site, key by key.

Compared is what a file means, not how it is written: an order of tables, a comment or a default
that is written out is no change. Two texts that differ in such things only are the same site.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from edge.config.keylines import KeyPath
from edge.config.model import SECTIONS
from edge.config.problem import SECRET_KEY, dotted_path, show_value
from edge.config.site import Site
from edge.core.displayname import with_name

TABLES: Final[Mapping[str, str]] = {
    "bus": "buses",
    "device": "devices",
    "lane": "lanes",
    "approach": "ways",
    "bay": "bays",
    "calibration": "calibrations",
    "cell": "cells",
}
"""Tables with names: how they are called in the file, and in `Site`."""
SECTION_FIELDS: Final[Mapping[str, str]] = {
    name: "place" if name == "site" else name for name in SECTIONS
}
UNITS: Final[Mapping[str, str]] = {
    "s": "s", "ms": "ms", "min": "min", "m": "m", "mb": "MB", "tb": "TB", "kmh": "km/h",
    "deg": "degrees", "mv": "mV", "kwh": "per kWh",
}  # fmt: skip
"""By the last part of a key (`every_s`). Degrees of a position are said by the key itself."""
DRIVER_KEY: Final = re.compile(r"(?i)(?:.*_)?key")
"""An option of a driver that decodes with it: never shown, as a password."""


class _Absent:
    """No such key, or no such table."""

    def __repr__(self) -> str:
        return "-"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class SiteChange:
    """One key, or a whole table with a name, that is not the same in both.

    `before` and `after` are values of the model; ABSENT where the key or the table is not there. Of
    a key whose default counts, that is the value. `name` is what people call the table's thing.
    """

    path: KeyPath
    before: Any
    after: Any
    name: str = ""

    @property
    def added(self) -> bool:
        """A table that was not there."""
        return self.before is ABSENT

    @property
    def removed(self) -> bool:
        """A table that is not there any more."""
        return self.after is ABSENT

    @property
    def whole(self) -> bool:
        """It is about a table as a whole."""
        return self.added or self.removed

    @property
    def key(self) -> str:
        """`device.hut_air.every_s`."""
        return dotted_path(self.path)

    @property
    def unit(self) -> str:
        """Of its values, or ""."""
        word = str(self.path[-1]).rpartition("_")
        return UNITS.get(word[2], "") if word[1] else ""

    def shown(self, value: Any) -> str:
        """A value as one would write it in the file; nothing of a secret."""
        last = str(self.path[-1])
        secret = SECRET_KEY.fullmatch(last) is not None
        secret |= self.path[0] == "device" and DRIVER_KEY.fullmatch(last) is not None
        if value is None or value is ABSENT:
            return "nothing"
        if secret:
            return "a secret"
        if isinstance(value, tuple | list):
            return f"[{', '.join(self.shown(each) for each in value)}]"
        if isinstance(value, msgspec.Struct):
            given = {k: v for k, v in msgspec.structs.asdict(value).items() if v is not None}
            return f"{{ {', '.join(f'{k} = {show_value(v, k)}' for k, v in given.items())} }}"
        return show_value(value, last)

    def __str__(self) -> str:
        if self.whole:
            table = with_name(str(self.path[1]), {str(self.path[1]): self.name})
            return f"{self.path[0]} {table} {'is new' if self.added else 'is removed'}"
        unit = f" {self.unit}" if self.unit else ""
        who = f" ({self.name})" if self.name and self.path[-1] != "name" else ""
        return f"{self.key}{who}: {self.shown(self.before)} -> {self.shown(self.after)}{unit}"


def site_changes(before: Site, after: Site) -> list[SiteChange]:
    """All that differs, in the order of the tables. Empty: they mean the same."""
    return [*_sections(before, after), *_tables(before, after)]


def _sections(before: Site, after: Site) -> Iterator[SiteChange]:
    for word, attribute in SECTION_FIELDS.items():
        one, other = _values(getattr(before, attribute)), _values(getattr(after, attribute))
        for key, value in other.items():
            if value != one[key]:
                yield SiteChange((word, key), one[key], value)


def _tables(before: Site, after: Site) -> Iterator[SiteChange]:
    for word, attribute in TABLES.items():
        old: Mapping[str, Any] = getattr(before, attribute)
        new: Mapping[str, Any] = getattr(after, attribute)
        for id_ in (*new, *(each for each in old if each not in new)):
            one, other = old.get(id_), new.get(id_)
            name = getattr(other if other is not None else one, "name", None) or ""
            if one is None or other is None:
                gone = ABSENT if other is None else other
                yield SiteChange((word, id_), ABSENT if one is None else one, gone, name)
                continue
            if type(one) is not type(other):  # a bus of another kind
                yield SiteChange((word, id_, "kind"), one.kind, other.kind, name)
                continue
            left, right = _values(one), _values(other)
            for key in (*right, *(each for each in left if each not in right)):
                if left.get(key, ABSENT) != right.get(key, ABSENT):
                    yield SiteChange((word, id_, key), left.get(key), right.get(key), name)


def _values(table: Any) -> dict[str, Any]:
    """Its fields; of a device the options of its driver, too."""
    found = {each: getattr(table, each) for each in table.__struct_fields__}
    options = found.pop("options", None)
    return {**found, **(options or {})}
