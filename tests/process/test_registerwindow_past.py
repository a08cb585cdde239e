"""State that is older than what was sent, or may be: nothing counts twice as if it were good."""

from typing import Any

import pytest

from edge.core.edge import Contact
from edge.core.record import Draft
from edge.process.engine import Engine, EngineSetup
from edge.process.enginesetup import ContactSetup
from tests.kit.asread import as_read
from tests.kit.engine import HEAT, METER, MINUTE, S, body, engine, found, presences, sweeps

DOOR = ContactSetup("door", "door")


def energy(drafts: list[Draft], name: str) -> Any:
    return body(drafts, name)["points"]["energy_import"]


def read(made: Engine, *readings: tuple[float, float]) -> None:
    made.sweeps(sweeps("main_meter", ((at, (100.0, kwh)) for at, kwh in readings)))


def set_back(*, older: bool, kills: int = 0) -> Engine:
    """One whose state is of 5.0 kWh and 2 pulses, while much more had been sent; it is killed again
    before anything came in."""
    made = engine(METER, HEAT)
    made.contacts([*found("heat"), *presences("heat", (1, 1.05), (9, 9.05))])
    read(made, (1, 4.9), (59, 5.0))
    made.close(MINUTE)
    state = made.snapshot()
    for n in range(1 + kills):
        made = Engine(made.setup)
        made.restore(state)
        if n == 0:
            made.doubt_past(older=older)
        made.start(2 * MINUTE)
        state = made.snapshot()
    return made


@pytest.mark.parametrize("kills", [0, 1])
def test_growth_from_an_older_register_is_in_no_delta(kills: int) -> None:
    made = set_back(older=True, kills=kills)
    read(made, (121, 6.0), (150, 6.1), (179, 6.2))
    reported = energy(made.close(3 * MINUTE), "main_meter")
    assert (reported["first"], reported["last"], reported["delta"]) == (6.0, 6.2, 0.2)
    assert reported["quality"]["uncertain:gap"] == 1
    assert reported["quality"]["good"] == 2
    read(made, (181, 6.3))
    reported = energy(made.close(4 * MINUTE), "main_meter")
    assert reported["delta"] == 0.1
    assert "uncertain:gap" not in reported["quality"], "the doubt is over"


@pytest.mark.parametrize("kills", [0, 1])
def test_growth_from_a_doubtful_register_counts_and_is_uncertain(kills: int) -> None:
    made = set_back(older=False, kills=kills)
    read(made, (121, 5.01), (179, 5.02))
    reported = energy(made.close(3 * MINUTE), "main_meter")
    assert reported["delta"] == 0.02
    assert reported["quality"]["uncertain:gap"] == 1


def test_a_value_that_is_not_believed_leaves_the_doubt() -> None:
    made = set_back(older=False)
    read(made, (121, 4.0))
    assert "uncertain:gap" not in energy(made.close(3 * MINUTE), "main_meter")["quality"]
    read(made, (181, 5.01))
    assert energy(made.close(4 * MINUTE), "main_meter")["quality"]["uncertain:gap"] == 1


@pytest.mark.parametrize(("older", "first"), [(True, 0.0), (False, 0.002)])
@pytest.mark.parametrize("kills", [0, 1])
def test_pulses_count_from_zero_when_their_count_is_older(
    older: bool, first: float, kills: int
) -> None:
    made = set_back(older=older, kills=kills)
    made.contacts([*found("heat", at_s=121), *presences("heat", (130, 130.05), (140, 140.05))])
    reported = energy(made.close(3 * MINUTE), "heat")
    assert (reported["first"], reported["delta"]) == (first, 0.002)
    assert reported["quality"]["uncertain:gap"] == 1
    made.contacts(presences("heat", (190, 190.05)))
    assert energy(made.close(4 * MINUTE), "heat")["quality"] == {"good": 1}


@pytest.mark.parametrize("level", [True, False])
def test_a_contact_tells_how_it_is_found_when_nobody_knows_what_was_told(level: bool) -> None:
    made = Engine(EngineSetup(contacts=(DOOR,)))
    made.doubt_past(older=True)
    again = Engine(EngineSetup(contacts=(DOOR,)))  # killed before its lines were open
    again.plain.restore(made.plain.snapshot(), same_boot=True)
    [draft] = again.contacts([Contact("door", level, 5 * S, initial=True)])
    assert as_read(draft)["state"] == ("on" if level else "off")
    assert again.contacts([Contact("door", level, 6 * S, initial=True)]) == []


def test_a_contact_at_rest_is_silent_when_nothing_is_in_doubt() -> None:
    made = Engine(EngineSetup(contacts=(DOOR,)))
    made.doubt_past(older=False)
    assert made.contacts([Contact("door", False, 5 * S, initial=True)]) == []
