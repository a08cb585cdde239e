"""Another meter's register is not the former one's: no growth between them, and no false alarm."""

from dataclasses import replace
from typing import Any

import pytest

from edge.core.quality import Reason
from edge.core.reading import Bad, Sample, UncertainValue, Value
from edge.core.record import Draft
from edge.process.calibration import Correction
from edge.process.engine import Engine
from tests.kit.engine import METER, S, engine, events, sweeps
from tests.process.test_registerwindow import NAME, energy, feed


def test_a_meter_that_says_it_is_another_one_goes_on_from_where_it_stands() -> None:
    """Even where its register is one that the former could have reached: energy never jumps."""
    made = engine(METER)
    feed(made, (0, 500.0), (1, 500.001))
    doubt = Reason.GAP
    made.sweeps(sweeps(NAME, [(2, (UncertainValue(100.0, doubt), UncertainValue(500.002, doubt)))]))
    feed(made, (3, 500.003), (4, 500.004))
    drafts = made.close(5 * S)
    assert not events(drafts)
    reported = energy(drafts)
    assert reported["delta"] == 0.003, "of the former one 0.001, of the new one 0.002"
    assert reported["quality"] == {"good": 4, "uncertain:gap": 1}
    made.sweeps(sweeps(NAME, [(6, (UncertainValue(100.0, doubt), UncertainValue(3.0, doubt)))]))
    feed(made, (7, 3.0), (8, 3.001))
    drafts = made.close(10 * S)
    assert not events(drafts), "the swap has an event of its own"
    assert energy(drafts)["delta"] == 0.001


def heard(*values: Sample) -> tuple[Any, list[Draft]]:
    """What becomes of these values of a register, a second apart."""
    made = engine(METER)
    made.sweeps(sweeps(NAME, [(i, (1.0, value)) for i, value in enumerate(values)]))
    drafts = made.close(len(values) * S)
    return energy(drafts), events(drafts)


@pytest.mark.parametrize("first", [5e7, -1.0, float("nan"), float("inf"), "text"])
def test_another_meters_first_value_that_cannot_be_is_no_register(first: Value) -> None:
    """What follows is its first: no growth up to it, and no jump either."""
    reported, jumps = heard(1000.0, 1000.0, UncertainValue(first, Reason.GAP), 1000.5, 1000.501)
    assert (reported["first"], reported["last"], reported["delta"]) == (1000.0, 1000.501, 0.001)
    assert reported["quality"] == {"good": 4, "uncertain:gap": 1}
    assert not jumps


def test_another_meters_first_value_is_known_as_such_when_its_correction_drops_it() -> None:
    made = engine(replace(METER, corrections=(Correction("energy_import", (0.0, 2.0)),)))
    values: list[Sample] = [1000.0, UncertainValue(600_000.0, Reason.GAP), 1000.5, 1000.501]
    made.sweeps(sweeps(NAME, [(i, (1.0, value)) for i, value in enumerate(values)]))
    drafts = made.close(4 * S)
    assert (energy(drafts)["delta"], events(drafts)) == (0.002, [])


def test_another_meter_that_has_no_value_at_first_begins_with_the_one_that_it_has() -> None:
    reported, jumps = heard(1000.0, Bad(Reason.GAP), Bad(Reason.BUSY), 1000.5, 1000.501)
    assert (reported["delta"], jumps) == (0.001, [])
    assert reported["quality"] == {"bad:busy": 1, "bad:gap": 1, "good": 3}


def test_another_meter_that_says_nought_before_it_knows_is_not_swapped_again() -> None:
    reported, jumps = heard(1000.0, UncertainValue(0.0, Reason.GAP), 1010.0, 1010.001)
    assert (reported["last"], reported["delta"], jumps) == (1010.001, 0.001, [])


def test_that_it_is_another_meter_is_known_over_a_restart() -> None:
    made = engine(METER)
    feed(made, (0, 1000.0))
    made.sweeps(sweeps(NAME, [(1, (1.0, Bad(Reason.GAP)))]))
    reported = energy(made.close(2 * S))
    assert (reported["last"], reported["delta"]) == (1000.0, 0.0), (
        "a value that was, and is not unsaid"
    )
    again = Engine(made.setup)
    again.restore(made.snapshot())
    feed(again, (2, 1000.5), (3, 1000.501))
    assert energy(again.close(4 * S))["delta"] == 0.001
