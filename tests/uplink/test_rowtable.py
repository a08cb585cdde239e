"""The table of rows: which transitions there are, what cannot happen, and what the page draws."""

import re
from typing import Final

import pytest

from edge.uplink.rowtable import (
    ACKNOWLEDGED,
    CHOSEN,
    CONFIRMED,
    FINAL,
    GIVEN_UP,
    HANDED,
    HELD,
    QUEUED,
    RECEIPTED,
    REFUSED,
    STORED,
    TRANSITIONS,
    ImpossibleTransitionError,
    RowEntry,
    RowEvent,
    RowState,
    RowTable,
    UplinkCounters,
)
from tests.docs.pages import STATE, text
from tests.uplink.rowmodel import S, key

WAY: Final[dict[RowState, list[RowEvent]]] = {  # how a row comes to be there
    QUEUED: ["queue"],
    CHOSEN: ["choose"],
    HANDED: ["choose", "hand"],
    ACKNOWLEDGED: ["choose", "hand", "acknowledge"],
    RECEIPTED: ["choose", "hand", "receipt"],
    REFUSED: ["choose", "hand", "refuse"],
    HELD: ["choose", "hold"],
    CONFIRMED: ["choose", "hand", "confirm"],
    GIVEN_UP: ["choose", "give_up"],
}


def entry_in(table: RowTable, state: RowState) -> RowEntry:
    """A row that has come there; the last two are still asked for."""
    table.hold_copy(table)
    first, *rest = WAY[state]
    entry = table._enter(1, key(1), first)
    for event in rest:
        table._move(entry, event)
    assert table.state(1) is state
    return entry


@pytest.mark.parametrize("state", list(WAY), ids=lambda state: state.name)
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


def test_each_state_can_be_reached_and_only_two_are_the_end() -> None:
    reached = {to for changes in TRANSITIONS.values() for to in changes.values()}
    left = {before for changes in TRANSITIONS.values() for before in changes}
    assert set(WAY) == set(RowState) - {STORED}, "say in WAY how a row comes to be there"
    assert reached == set(RowState), "no transition leads to the others: rowtable.TRANSITIONS"
    assert left == set(RowState) - set(FINAL)


def test_an_answer_to_a_row_that_nobody_has_is_a_fault_of_ours() -> None:
    table = RowTable(None, UplinkCounters())
    table.choose(1, key(1))
    entry = table.hand(1, 0, redelivered=False, backfilled=False)
    assert table.acknowledge(entry)
    for again in (table.acknowledge, table.lose, table.put_off, table.give_up):
        with pytest.raises(ImpossibleTransitionError):
            again(entry)
    assert table.counts.confirmed == 1


def test_the_page_draws_these_transitions_and_no_others() -> None:
    """docs/architecture/state.md: a state that is not drawn there would be found by nobody."""
    diagram = re.search(r"```mermaid\nstateDiagram-v2\n(.*?)```", text(STATE), re.S)
    assert diagram is not None
    drawn = {
        (before, to, event)
        for before, to, events in re.findall(r"(\w+) --> (\w+): ([\w, ]+)", diagram[1])
        for event in events.split(", ")
    }
    assert drawn == {
        (before.name, to.name, event)
        for event, changes in TRANSITIONS.items()
        for before, to in changes.items()
    }
