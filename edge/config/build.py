"""From what `tomllib` read to the tables of a site, with everything that is wrong on the way."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from edge.config.draft import VERSION_KEY, FileDraft, T
from edge.config.keylines import KeyPath
from edge.config.model import (
    BUSES,
    SECTIONS,
    TABLES,
    Approach,
    Bay,
    Bus,
    Calibration,
    Cell,
    Class,
    Device,
    Lane,
    Phase,
)
from edge.config.problem import show_value, suggest
from edge.config.valuerules import ValueRule, WrongValueError, model_rules, option_rule
from edge.core.driver import DriverSpec
from edge.core.point import opposite_key

NAME_RULE: Final = model_rules(SECTIONS["site"])[
    "id"
]  # names of buses, devices and lanes follow it
CLASSES: Final = 8  # of vehicles by length
PLAIN_TABLES: Final[dict[str, type[msgspec.Struct]]] = {
    "approach": Approach,
    "bay": Bay,
    "calibration": Calibration,
    "cell": Cell,
}
"""Named tables of plain values."""


class SiteDraft(FileDraft):
    """A file on its way to being a `Site`."""

    def __init__(self, data: Mapping[str, Any], catalogue: Mapping[str, DriverSpec]) -> None:
        super().__init__(data)
        self.catalogue = catalogue

    def unknown(self, key: str, known: Iterable[str]) -> str:
        """Often it only stands below the wrong header."""
        text = suggest(key, known)
        if not text.startswith("did you mean"):
            home = [name for name, model in SECTIONS.items() if key in model_rules(model)]
            if home:
                return f"unknown key here; it belongs to [{home[0]}]"
        return f"unknown key; {text}"

    def names(self, table: str) -> list[str]:
        """What stands below [bus], [device], [lane] ..., in the order of the file."""
        inner = self.data.get(table)
        return (
            [n for n, v in inner.items() if isinstance(v, dict)] if isinstance(inner, dict) else []
        )

    def driver(self, device: str) -> DriverSpec | None:
        """The driver of a device, if it is known."""
        return self.catalogue.get(self.get("device", device, "driver"))

    def bus_kind(self, bus: str) -> str | None:
        """The kind of a bus, if it is there and right."""
        kind = self.get("bus", bus, "kind")
        return kind if isinstance(kind, str) else None


def build_tables(draft: SiteDraft) -> dict[str, object]:
    """All tables by name. Whatever could not be built is missing or None, and `draft` says why."""
    known = {VERSION_KEY, *SECTIONS, *TABLES}
    for key in draft.data.keys() - known:
        draft.report((key,), draft.unknown(key, known))
    sections = {name: _section(draft, name, model) for name, model in SECTIONS.items()}
    return {
        **sections,
        "bus": dict(_each(draft, "bus", _bus)),
        "device": dict(_each(draft, "device", _device)),
        "lane": dict(_each(draft, "lane", _lane)),
        **{name: dict(_each(draft, name, _plain(model))) for name, model in PLAIN_TABLES.items()},
    }


def _section(draft: SiteDraft, name: str, model: type[T]) -> T | None:
    needed = [key for key, rule in model_rules(model).items() if rule.required]
    if needed and name not in draft.data:
        draft.report(
            (name,), f"is missing; a table [{name}] with {' and '.join(needed)} belongs here"
        )
        return None
    return draft.table(model, (name,), draft.data.get(name, {}))


def _each(draft: SiteDraft, table: str, make: Any) -> Iterator[tuple[str, Any]]:
    inner = draft.data.get(table, {})
    if not isinstance(inner, dict):
        draft.report(
            (table,), f"{show_value(inner)} does not fit; tables [{table}.NAME] belong here"
        )
        return
    for name, values in inner.items():
        path = (table, name)
        if not isinstance(values, dict):
            draft.report(
                path, f"{show_value(values)} does not fit; a table [{table}.NAME] belongs here"
            )
            continue
        try:
            NAME_RULE.check(name)
        except WrongValueError as error:
            draft.report(path, f"as a name, {error}")
        yield name, make(draft, path, values)


def _bus(draft: SiteDraft, path: tuple[str, str], values: dict[str, object]) -> Bus | None:
    kind = _kind(draft, path, values)
    if kind is None:
        return None
    return draft.table(BUSES[kind], path, values, extra={"kind": kind})


def _kind(draft: SiteDraft, path: tuple[str, str], values: dict[str, object]) -> str | None:
    rule = ValueRule("kind", str, choices=tuple(BUSES), required=True)
    return draft.value(rule, path, values)  # type: ignore[no-any-return]  # a str, by its rule


def _device(draft: SiteDraft, path: tuple[str, str], values: dict[str, object]) -> Device | None:
    rules = {key: rule for key, rule in model_rules(Device).items() if key != "options"}
    phase = _phase(draft, rules.pop("phase"), path, values)
    driver = draft.value(rules.pop("driver"), path, values)
    spec = draft.catalogue.get(driver) if isinstance(driver, str) else None
    if spec is None:
        if driver is not None:
            draft.report((*path, "driver"), f"no driver is called {show_value(driver)}; "
                      + suggest(driver, draft.catalogue))  # fmt: skip
        plain = {key: draft.value(rule, path, values) for key, rule in rules.items()}
        return Device(driver="", phase=phase, **plain)  # its options cannot be judged
    if not spec.directed:
        del rules["reversed"]
        if "reversed" in values:
            draft.report((*path, "reversed"), f"{spec.name} reports no direction: it has neither a "
                      "sign nor a register for each way; leave this out")  # fmt: skip
    if spec.wiring == "gpio":
        for key in ("every_s", "points"):
            del rules[key]
            if key in values:
                draft.report((*path, key), f"{spec.name} is not polled; leave this out")
    else:
        pace = replace(rules["every_s"], default=spec.every_s, high=spec.slowest_s)
        rules["every_s"] = pace
        if spec.points:
            turned = values.get("reversed") is True
            own = tuple(map(opposite_key, spec.points)) if turned else spec.points
            rules["points"] = replace(rules["points"], choices=own)
    options = {key: option_rule(key, option) for key, option in spec.options.items()}
    known = {"driver", "every_s", "points", "reversed", "phase", *rules, *options}
    for key in values.keys() - known:
        draft.report((*path, key), draft.unknown(key, known))
    plain = {key: draft.value(rule, path, values) for key, rule in rules.items()}
    chosen = {key: draft.value(rule, path, values) for key, rule in options.items()}
    given = {key: value for key, value in chosen.items() if key in values}
    return Device(driver=spec.name, options=given, phase=phase, **plain)


def _phase(
    draft: SiteDraft, rule: ValueRule, path: KeyPath, values: dict[str, object]
) -> Phase | None:
    table = values.get("phase")
    if table is not None and not isinstance(table, dict):
        draft.report(
            (*path, "phase"), f"{show_value(table)} does not fit; {rule.what} belongs here"
        )
    return draft.table(Phase, (*path, "phase"), table) if isinstance(table, dict) else None


def _lane(draft: SiteDraft, path: tuple[str, str], values: dict[str, object]) -> Lane | None:
    """A lane, without its classes first: they are tables in it."""
    rest = {key: value for key, value in values.items() if key != "classes"}
    lane = draft.table(Lane, path, rest)
    classes = (
        _classes(draft, (*path, "classes"), values["classes"]) if "classes" in values else None
    )
    return None if lane is None else msgspec.structs.replace(lane, classes=classes)


def _classes(draft: SiteDraft, path: KeyPath, tables: Any) -> tuple[Class, ...] | None:
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        what = model_rules(Lane)["classes"].what
        draft.report(path, f"{show_value(tables)} does not fit; {what}, belongs here")
        return None
    if not 1 <= len(tables) <= CLASSES:
        draft.report(path, f"has {len(tables)} classes; 1 to {CLASSES} belong here")
    made = [draft.table(Class, (*path, index), each) for index, each in enumerate(tables[:CLASSES])]
    draft.values[path] = tuple(made)
    return tuple(each for each in made if each is not None)


def _plain(model: type[T]) -> Callable[[SiteDraft, KeyPath, dict[str, object]], T | None]:
    return lambda draft, path, values: draft.table(model, path, values)
