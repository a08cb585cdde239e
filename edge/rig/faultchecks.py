"""Faults of a scenario: when they begin and heal, of what, and which layer can do all of them."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from edge.config.draft import FileDraft
from edge.config.keylines import KeyPath
from edge.config.problem import show_value, suggest
from edge.rig.faultcatalogue import OFFSET, FaultKind, able_layers
from edge.rig.scenario import LAYERS, About, Condition, Fault, State
from edge.rig.scenariosite import ScenarioSite, ScenarioTarget
from edge.rig.vocabulary import FLAGS

FaultRows = Sequence[tuple[KeyPath, Fault]]
OF: Final[dict[State, str]] = {
    "volume": "a lane", "value": "DEVICE.POINT", "flag": "SOURCE.FLAG",
}  # fmt: skip
"""States that are of something, and what that is."""


def check_faults(
    draft: FileDraft, about: About, site: ScenarioSite | None, rows: FaultRows
) -> dict[str, FaultKind]:
    """Name -> row of the table, of those whose target and kind are right."""
    check_names(draft, rows)
    found: dict[str, FaultKind] = {}
    for path, fault in rows:
        _begin(draft, path, fault, about)
        for number, condition in enumerate(fault.when or ()):
            _condition(draft, (*path, "when", number), condition, site)
        if site is None:
            continue
        row = check_kind(draft, path, fault, site)
        if row is not None:
            _end(draft, path, fault, row, about)
            check_amount(draft, path, fault, row)
            found[fault.name] = row
    _excluding(draft, rows)
    _layers(draft, about, found)
    return found


def with_amount(fault: Fault, row: FaultKind) -> Fault:
    """With the usual amount, where it has a measure and the scenario says none."""
    if fault.amount is not None or row.measure is None:
        return fault
    return replace(fault, amount=row.measure.default)


def check_names(draft: FileDraft, rows: Sequence[tuple[KeyPath, Any]]) -> None:
    """Each table of one kind has a name of its own."""
    seen: set[str] = set()
    for path, row in rows:
        if row.name in seen:
            draft.report((*path, "name"), f"{show_value(row.name)} is the name of another "
                         f"[[{path[0]}]] already; write another one")  # fmt: skip
        seen.add(row.name)


def _excluding(draft: FileDraft, rows: FaultRows) -> None:
    """Nobody between box and broker can refuse what goes through TLS."""
    places = {fault.kind: path for path, fault in reversed(rows) if fault.target == "broker"}
    if places.keys() >= {"quota", "expired_certificate"}:
        draft.report((*places["expired_certificate"], "kind"), "`expired_certificate` and `quota` "
                     "cannot be in one scenario: write two")  # fmt: skip


def _begin(draft: FileDraft, path: KeyPath, fault: Fault, about: About) -> None:
    at, when = draft.written(*path, "at_s"), draft.written(*path, "when")
    if at and when:
        draft.report((*path, "when"), "at_s stands here, too: a fault begins at a time, or on "
                     "conditions; leave one of them out")  # fmt: skip
    elif not at and not when:
        draft.report((*path, "at_s"), "is missing, and so is `when`: say when it begins")
    if not when:
        for key in ("edge", "after_s"):
            if draft.written(*path, key):
                draft.report((*path, key), "belongs to `when`; at_s alone says when it begins")
    if fault.at_s is not None and fault.at_s >= about.duration_s:
        draft.report((*path, "at_s"), f"{fault.at_s:g} is not before the end of the street, "
                     f"scenario.duration_s = {about.duration_s:g}")  # fmt: skip


def _end(draft: FileDraft, path: KeyPath, fault: Fault, row: FaultKind, about: About) -> None:
    given = draft.written(*path, "for_s")
    if row.heals and not given:
        draft.report((*path, "for_s"), "is missing; say after how many seconds it heals")
    elif given and not row.heals:
        draft.report((*path, "for_s"), f"`{row.name}` of {row.target} is over at once; leave this "
                     "out")  # fmt: skip
    end_s = about.duration_s + about.settle_s
    if row.heals and fault.at_s is not None and fault.for_s is not None:
        healed_s = fault.at_s + fault.for_s
        if healed_s > end_s:
            draft.report((*path, "for_s"), f"it would heal at {healed_s:g} s, after the end of the "
                         f"run, {end_s:g} s")  # fmt: skip


def check_amount(draft: FileDraft, path: KeyPath, fault: Fault, row: FaultKind) -> None:
    """It is there where one is needed, and is one that can be."""
    where, measure = (*path, "amount"), row.measure
    if measure is None:
        if draft.written(*where):
            draft.report(where, f"`{row.name}` of {row.target} has no measure; leave this out")
    elif fault.amount is None:
        if measure.default is None and not draft.written(*where):
            draft.report(where, f"is missing; {measure.text} belongs here")
    elif not measure.low <= fault.amount <= measure.high:
        draft.report(where, f"{fault.amount:g} is not right; {measure.text} belongs here")
    elif measure.low < 0 and fault.amount == 0:
        draft.report(where, f"0 changes nothing; {measure.text} belongs here")


def check_kind(
    draft: FileDraft, path: KeyPath, fault: Fault, site: ScenarioSite
) -> FaultKind | None:
    """Its row of the table of faults, if there is such a thing and it can show this."""
    named = site.targets(fault.target)
    if not named:
        draft.report((*path, "target"), f"nothing is called {show_value(fault.target)}; "
                     + suggest(fault.target, site.names))  # fmt: skip
        return None
    fitting = [(one, row) for one in named if (row := one.row(fault.kind)) is not None]
    if not fitting:
        draft.report((*path, "kind"), _unfit(fault, named))
        return None
    if len(fitting) > 1:
        names = " or ".join(one.full for one, _ in fitting)
        draft.report((*path, "target"), f"{show_value(fault.target)} is two things; write {names}")
        return None
    return fitting[0][1]


def _unfit(fault: Fault, named: Sequence[ScenarioTarget]) -> str:
    known = [fault for one in named for fault in one.faults]
    shown = show_value(fault.target)
    if fault.kind == OFFSET:
        return f"{shown} is no point: the target of `offset` is DEVICE.POINT"
    return f"{shown} has no fault {show_value(fault.kind)}; {suggest(fault.kind, known)}"


def _condition(
    draft: FileDraft, path: KeyPath, condition: Condition, site: ScenarioSite | None
) -> None:
    above, below = condition.above, condition.below
    if not draft.written(*path, "above") and not draft.written(*path, "below"):
        draft.report(path, "needs `above` or `below`")
    if above is not None and below is not None and below <= above:
        draft.report((*path, "below"), f"{below:g} is not more than above, {above:g}: this never "
                     "holds")  # fmt: skip
    state, of = condition.state, condition.of
    if state is None or of is None:
        return
    wanted = OF.get(state)
    if wanted is None:
        if of:
            draft.report((*path, "of"), f"`{state}` is of the whole box; leave this out")
    elif not of:
        draft.report((*path, "of"), f"is missing; {wanted} belongs here")
    elif site is not None and not _is_there(state, of, site):
        draft.report((*path, "of"), f"{show_value(of)} is not there; {wanted} belongs here")


def _is_there(state: State, of: str, site: ScenarioSite) -> bool:
    source, _, last = of.rpartition(".")
    match state:
        case "volume":
            return of in site.site.lanes
        case "value":
            return last in site.points.get(source, {})
        case _:
            return source in site.sources and last in FLAGS


def _layers(draft: FileDraft, about: About, found: dict[str, FaultKind]) -> None:
    """One layer can do all, and each that is listed can."""
    able = able_layers(found.values())
    for layer in about.layers or (() if able else LAYERS):
        for name, row in found.items():
            if (why := row.cannot.get(layer)) is not None:
                draft.report(("scenario", "layers"), f"{layer} cannot do the fault {name} "
                             f"(`{row.name}` of {row.target}): {why}")  # fmt: skip
