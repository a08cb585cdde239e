"""The table of rows: what cannot happen, and what whoever adds a state is told that is missing
(CONTRIBUTING.md, "Add a state to a row's life").

Ways, ends and what is impossible follow from `TRANSITIONS`. That a transition really happens, also
in each of the states from which it is allowed, `RowLife` in test_rowtable_life.py shows.
"""

import ast
import re
from collections import Counter
from typing import Final, get_args

import pytest

from edge.uplink.rowtable import (
    FINAL,
    STORED,
    TRANSITIONS,
    ImpossibleTransitionError,
    RowEntry,
    RowEvent,
    RowState,
    RowTable,
    UplinkCounters,
)
from tests.docs.pages import ROOT, STATE, prose, text
from tests.docs.source import files, tree
from tests.uplink import rowmodel
from tests.uplink.rowmodel import BOUNDS, S, key

TABLE: Final = ROOT / "edge/uplink/rowtable.py"


def ways() -> dict[RowState, list[RowEvent]]:
    """The shortest way from the outbox to each state, by the events on it."""
    found: dict[RowState, list[RowEvent]] = {STORED: []}
    for state in (todo := [STORED]):
        for event, changes in TRANSITIONS.items():
            if state in changes and changes[state] not in found:
                found[changes[state]] = [*found[state], event]
                todo.append(changes[state])
    return found


WAYS: Final = ways()


def entry_in(table: RowTable, state: RowState) -> RowEntry:
    """A row that has come there; the last ones are still asked for."""
    table.hold_copy(table)
    first, *rest = WAYS[state]
    entry = table._enter(1, key(1), first)
    for event in rest:
        table._move(entry, event)
    assert table.state(1) is state
    return entry


@pytest.mark.parametrize("state", list(WAYS)[1:], ids=lambda state: state.name)
def test_what_cannot_happen_in_a_state_raises_and_changes_nothing(state: RowState) -> None:
    for event, changes in TRANSITIONS.items():
        table = RowTable(S, UplinkCounters())
        entry = entry_in(table, state)
        if state in changes:
            table._move(entry, event)
            assert table.state(1) is changes[state]
        else:
            with pytest.raises(ImpossibleTransitionError, match=f"{state.name}: {event}"):
                table._move(entry, event)
            assert table.state(1) is state


def test_an_answer_to_a_row_that_nobody_has_is_a_fault_of_ours() -> None:
    table = RowTable(None, UplinkCounters())
    table.choose(1, key(1))
    entry = table.hand(1, 0, redelivered=False, backfilled=False)
    assert table.acknowledge(entry, 0)
    for again in (lambda row: table.acknowledge(row, 0), table.lose, table.put_off, table.give_up):
        with pytest.raises(ImpossibleTransitionError):
            again(entry)
    assert table.counts.confirmed == 1


# -- the states -----------------------------------------------------------------------------------


def test_each_state_can_be_reached() -> None:
    lost = [state.name for state in RowState if state not in WAYS]
    assert not lost, f"no way leads from STORED to {lost}: rowtable.TRANSITIONS has no event for it"


def test_each_state_leads_to_an_end_and_an_end_nowhere() -> None:
    steps = [step for changes in TRANSITIONS.values() for step in changes.items()]
    ending = set(FINAL)
    for _ in RowState:
        ending |= {before for before, to in steps if to in ending}
    stuck = [state.name for state in RowState if state not in ending]
    assert not stuck, (
        f"a row in {stuck} never comes to an end: rowtable.TRANSITIONS has no way out. If it is an"
        " end, put it into FINAL"
    )
    left = sorted({before.name for before, _ in steps if before in FINAL})
    assert not left, f"in FINAL, but TRANSITIONS leads on from {left}"


# -- the transitions ------------------------------------------------------------------------------


def methods() -> dict[str, ast.FunctionDef]:
    """Of `RowTable`."""
    (table,) = (e for e in tree(TABLE).body if isinstance(e, ast.ClassDef) and e.name == "RowTable")
    return {each.name: each for each in table.body if isinstance(each, ast.FunctionDef)}


def made_by(method: ast.FunctionDef) -> set[str]:
    """The events of `self._move(entry, EVENT)` and `self._enter(row, key, EVENT)` in it."""
    return {
        part.value
        for call in ast.walk(method)
        if isinstance(call, ast.Call)
        if ast.unparse(call.func) in ("self._move", "self._enter")
        for part in ast.walk(call.args[-1])
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def asked_of(tree: ast.AST, *owners: str) -> set[str]:
    """The names behind `OWNER.`, also behind `x.OWNER.`"""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        if ast.unparse(node.value).rpartition(".")[2] in owners
    }


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All of them, methods too."""
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def is_special(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Called by Python, as `__init__` is."""
    return function.name.startswith("__")


def mentioned(tree: ast.AST) -> Counter[str]:
    """How often each name stands in it, its definition apart."""
    return Counter(
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
    )


def used() -> set[str]:
    """What of `RowTable` the rest of the uplink uses, and what that uses in turn. A function whose
    name stands nowhere but in itself uses nothing."""
    everywhere = Counter[str]()
    for path in files("edge"):
        everywhere += mentioned(tree(path))
    found = {
        name
        for path in files("edge/uplink")
        if path != TABLE
        for function in functions(tree(path))
        if everywhere[function.name] > mentioned(function)[function.name] or is_special(function)
        for name in asked_of(function, "table", "_table")
    }
    inside = {name: asked_of(method, "self") for name, method in methods().items()}
    while more := {name for each in found & inside.keys() for name in inside[each]} - found:
        found |= more
    return found


def test_each_event_can_happen_to_some_state() -> None:
    idle = sorted(set(get_args(RowEvent)) - TRANSITIONS.keys())
    assert not idle, f"in rowtable.RowEvent, but not in TRANSITIONS: {idle}"


def test_each_event_is_made_by_the_table() -> None:
    idle = sorted(TRANSITIONS.keys() - set[str]().union(*map(made_by, methods().values())))
    assert not idle, f"no method of RowTable says self._move(entry, EVENT) with: {idle}"


def test_each_method_that_makes_an_event_is_called() -> None:
    called = used()
    idle = [name for name, method in methods().items() if made_by(method) and name not in called]
    assert not idle, (
        "nobody in edge/uplink calls these of RowTable, or only who is called by nobody, so it"
        f" never happens: {idle}"
    )


# -- the page -------------------------------------------------------------------------------------


def test_the_page_draws_these_transitions_and_no_others() -> None:
    """docs/architecture/state.md: a state that is not drawn there would be found by nobody."""
    diagram = re.search(r"```mermaid\nstateDiagram-v2\n(.*?)```", text(STATE), re.S)
    assert diagram is not None
    drawn = {
        f"{before} --> {to}: {event}"
        for before, to, events in re.findall(r"(\w+) --> (\w+): ([\w, ]+)", diagram[1])
        for event in events.split(", ")
    }
    allowed = {
        f"{before.name} --> {to.name}: {event}"
        for event, changes in TRANSITIONS.items()
        for before, to in changes.items()
    }
    missing, surplus = sorted(allowed - drawn), sorted(drawn - allowed)
    assert not missing, f"the diagram in docs/architecture/state.md lacks {missing}"
    assert not surplus, f"the diagram in docs/architecture/state.md has {surplus}, rowtable.py not"


def test_the_page_explains_each_state_and_who_may_end_it() -> None:
    part = prose(STATE).partition("\n## A row in the uplink\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("| `")]
    found = {cells[0].strip(" `"): [cell.strip() for cell in cells] for cells in rows}
    missing = [state.name for state in RowState if state.name not in found]
    assert not missing, f"the table in docs/architecture/state.md has no row for {missing}"
    surplus = sorted(found.keys() - RowState.__members__.keys())
    assert not surplus, f"the table in docs/architecture/state.md has {surplus}, rowtable.py not"
    for state in RowState:
        _, meaning, limit, end = found[state.name]
        assert meaning, f"{state.name}: say what it means"
        assert state in BOUNDS, (
            f"{state.name}: say in tests/uplink/rowmodel.py:BOUNDS what bounds it"
        )
        bound = BOUNDS[state]
        if isinstance(bound, str):
            assert bound in limit, f"{state.name}: the page does not say that {bound} bounds it"
        else:
            most = f"{rowmodel.limit(bound):,}"
            assert most in re.findall(r"\d[\d,]*\d|\d", limit), (
                f"{state.name}: {bound[1]} is {most}, and the page says {limit!r}"
            )
        assert (end == "-") == (state in FINAL), f"{state.name}: who may end it?"
