"""Read a scenario file: either a `Scenario`, or everything that is wrong with the file at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

import drivers
from edge.config import Problem, Problems, load_site
from edge.config.draft import VERSION_KEY, FileDraft
from edge.config.keylines import KeyPath, key_lines
from edge.config.problem import show_value
from edge.config.tomlfile import read_toml_file
from edge.config.valuerules import model_rules
from edge.core import ConfigError
from edge.durable.readfile import is_regular_file
from edge.rig import expectationchecks, faultchecks, stimuluschecks
from edge.rig.faultcatalogue import FaultKind
from edge.rig.scenario import DAY_S, TABLES, VERSION, About, Condition, Detector, Scenario
from edge.rig.scenariosite import ScenarioSite

SCENARIO: Final = "scenario"
ROWS_LIMIT: Final = 1000  # tables of one name
CONDITIONS_LIMIT: Final = 8
PAIRS_LIMIT: Final = 1000
DETECTORS_LIMIT: Final = 256
NUMBER_LIMIT: Final = 1e12  # what is larger, no device measures
UNKNOWN: Final = About(name="-", site="-", duration_s=DAY_S, settle_s=DAY_S)
"""In place of a [scenario] that is wrong: it forbids no moment, and the rest can be checked."""
Rows = Mapping[str, tuple[tuple[KeyPath, Any], ...]]


@dataclass(frozen=True, slots=True)
class CheckedScenario:
    """A scenario that can be run. `site` is its box; `kinds`: name of a fault -> its row in the
    table; `warnings` are by line."""

    scenario: Scenario
    site: ScenarioSite
    kinds: Mapping[str, FaultKind]
    warnings: tuple[Problem, ...] = ()


def load_scenario(path: Path | str) -> Scenario:
    """Read and check a whole file. Raises Problems, a ConfigError, with a list of all findings."""
    return check_scenario(path).scenario


def check_scenario(path: Path | str) -> CheckedScenario:
    """The same, with its site and with what may not be what was meant. Raises Problems."""
    file = Path(path)
    text, data = read_toml_file(file, "scenario")
    lines = key_lines(text)
    draft = FileDraft(data)
    draft.check_version(VERSION)
    if draft.found:  # what another version means by its keys is not ours to judge
        raise draft.problems(str(file), lines)
    about, rows = _build(draft)
    site, wrong = _site(draft, file, about)
    whole = about or UNKNOWN
    end_s = whole.duration_s + whole.settle_s
    stimuluschecks.check_stimuli(draft, file.parent, whole, site, rows)
    kinds = faultchecks.check_faults(draft, whole, site, rows["fault"])
    expectationchecks.check_expectations(draft, end_s, site, rows["expect"], rows["fault"])
    problems = [*draft.problems(str(file), lines).problems, *wrong]
    if problems or about is None or site is None:
        raise Problems(problems)
    fields = {TABLES[name][0]: tuple(one for _, one in rows[name]) for name in TABLES}
    fields["faults"] = tuple(
        faultchecks.with_amount(one, kinds[one.name]) for one in fields["faults"]
    )
    scenario = Scenario(file=str(file), about=about, **fields)
    remarks = FileDraft(data)
    expectationchecks.warn(remarks, rows["expect"])
    warnings = remarks.problems(str(file), lines).problems
    return CheckedScenario(scenario, site, kinds, warnings)


def _build(draft: FileDraft) -> tuple[About | None, Rows]:
    """The tables that are right in themselves, each with its path."""
    known = {VERSION_KEY, SCENARIO, *TABLES}
    for key in draft.data.keys() - known:
        draft.report((key,), draft.unknown(key, known))
    about = None
    if SCENARIO in draft.data:
        about = draft.table(About, (SCENARIO,), draft.data[SCENARIO])
    else:
        needed = " and ".join(k for k, rule in model_rules(About).items() if rule.required)
        draft.report((SCENARIO,), f"is missing; a table [scenario] with {needed} belongs here")
    return about, {name: tuple(_rows(draft, name, model)) for name, (_, model) in TABLES.items()}


def _rows(draft: FileDraft, name: str, model: type[Struct]) -> Iterator[tuple[KeyPath, Any]]:
    listed = draft.data.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        draft.report((name,), f"{show_value(listed)} does not fit; tables [[{name}]] belong here")
        return
    if len(listed) > ROWS_LIMIT:
        draft.report((name,), f"{len(listed)} tables [[{name}]], more than {ROWS_LIMIT}; use a "
                     "recorded trace, or several scenarios")  # fmt: skip
    for number, values in enumerate(listed[:ROWS_LIMIT]):
        path: KeyPath = (name, number)
        extra: dict[str, Any] = {}
        if name == "fault":
            extra["when"] = _conditions(draft, (*path, "when"), values.get("when"))
        if name == "trace":
            extra["detectors"] = _detectors(draft, (*path, "detectors"), values.get("detectors"))
        if name == "value":
            extra["curve"] = _curve(draft, (*path, "curve"), values.get("curve"))
        made = draft.table(model, path, values, extra)
        if made is not None:
            yield path, made


def _conditions(draft: FileDraft, path: KeyPath, listed: Any) -> tuple[Condition, ...] | None:
    if listed is None:
        return None
    if not isinstance(listed, list) or not 1 <= len(listed) <= CONDITIONS_LIMIT:
        draft.report(path, f"{show_value(listed)} does not fit; a list of 1 to {CONDITIONS_LIMIT} "
                     'conditions such as {state = "queue", above = 1000} belongs here')  # fmt: skip
        return None
    made = [draft.table(Condition, (*path, n), one) for n, one in enumerate(listed)]
    return tuple(one for one in made if one is not None)


def _detectors(draft: FileDraft, path: KeyPath, listed: Any) -> tuple[Detector, ...] | None:
    if listed is None:
        return None
    if not isinstance(listed, list) or not 1 <= len(listed) <= DETECTORS_LIMIT:
        draft.report(path, f"{show_value(listed)} does not fit; a list of 1 to {DETECTORS_LIMIT} "
                     'such as {detector = "5", loop = "north_1"} belongs here')  # fmt: skip
        return None
    made = [draft.table(Detector, (*path, n), one) for n, one in enumerate(listed)]
    return tuple(one for one in made if one is not None)


def _curve(draft: FileDraft, path: KeyPath, listed: Any) -> tuple[tuple[float, float], ...] | None:
    if listed is None:
        return None
    pairs = listed if isinstance(listed, list) else []
    if not 1 <= len(pairs) <= PAIRS_LIMIT or not all(map(_is_pair, pairs)):
        draft.report(path, f"{show_value(listed)} does not fit; a list of 1 to {PAIRS_LIMIT} "
                     "pairs such as [[0, 20.5], [600, 25]] belongs here")  # fmt: skip
        return None
    return tuple((float(at_s), float(value)) for at_s, value in pairs)


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(type(one) in (int, float) and abs(one) < NUMBER_LIMIT for one in pair)
    )


def _site(
    draft: FileDraft, file: Path, about: About | None
) -> tuple[ScenarioSite | None, list[Problem]]:
    """The site of the box, and what is wrong with its file."""
    named = draft.get(SCENARIO, "site")
    if named is None:
        return None, []
    place = file.parent / named
    if not is_regular_file(place):
        draft.report((SCENARIO, "site"), f"{place} is no file; its name counts from the folder of "
                     "the scenario")  # fmt: skip
        return None, []
    try:
        return ScenarioSite(load_site(place, drivers.catalogue())), []
    except Problems as error:
        draft.report(
            (SCENARIO, "site"),
            f"this site file is wrong ({len(error.problems)} errors, listed above or below): "
            f"`kerbstone check {place}` shows them, too",
        )
        return None, list(error.problems)
    except ConfigError as error:
        draft.report((SCENARIO, "site"), f"this site file is wrong: {error}")
        return None, []
