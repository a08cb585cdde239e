"""A pair of which one loop has a fault already when the other dies: engine and judge."""

from itertools import product

import pytest

from edge.core import Draft, Stream
from edge.infer.loops.loopflag import FAULTS, LoopFlag
from tests.gateway.test_common_faults import (
    HOUR,
    Spans,
    always,
    contacts,
    inverted,
    left,
    pipeline,
    reported,
    street,
)
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE
from tests.long import more, size

LANE = "north_2"
HOURS = 2.5
FAULT_S, DEATH_S = 0.5 * HOUR, 1.25 * HOUR
NEVER_AGAIN = ("dead", "stuck_on", "inverted", "chatter")
PAIRS = (("lead", "trail"), ("trail", "lead"))
KINDS = ("model", "rule")
# every fifth: each fault, either pair and either kind are among them
CASES = [(*pair, *rest) for pair, *rest in product(PAIRS, NEVER_AGAIN, KINDS)][:: size(5, 1)]


def with_fault(spans: Spans, part: str, fault: str) -> Spans:
    """The loop fails at FAULT_S and stays so."""
    here = spans[f"{LANE}.{part}"]
    sound = [span for span in here if span[1] < FAULT_S]
    later = {
        "dead": [],
        "stuck_on": [(FAULT_S, 1e5)],
        "inverted": [span for span in inverted(here, HOURS) if span[0] > FAULT_S],
        "chatter": [(FAULT_S + 0.5 * i, FAULT_S + 0.5 * i + 0.2) for i in range(14_000)],
    }[fault]
    return spans | {f"{LANE}.{part}": [*sound, *later]}


def lived(spans: Spans, *, model: bool) -> list[Draft]:
    one, edges, at, out = pipeline(model=model), contacts(spans), 0, list[Draft]()
    for minute in range(1, round(HOURS * 60) + 1):
        upto = at
        while upto < len(edges) and edges[upto].mono_ns < minute * MINUTE:
            upto += 1
        one.engine.contacts(edges[at:upto])
        at = upto
        out += one.engine.close(minute * MINUTE)
    return out


@more
@pytest.mark.parametrize(("first", "second", "fault", "by"), CASES)
def test_when_the_other_loop_dies_as_well_there_is_no_number(
    first: str, second: str, fault: str, by: str
) -> None:
    spans = with_fault(street(HOURS, always(10.0)), first, fault)
    spans[f"{LANE}.{second}"] = [s for s in spans[f"{LANE}.{second}"] if s[1] < DEATH_S]
    out = lived(spans, model=by == "model")
    events = [d for d in out if d.stream is Stream.EVENT]
    (dead,) = {at for at, lane, part, what, state in reported(events)
               if (lane, part, what, state) == (LANE, second, "stuck_off", "on")}  # fmt: skip
    assert dead <= DEATH_S / 60 + 15.0
    after = [d for d in out if d.stream is Stream.TRAFFIC and d.to_ns >= dead * MINUTE]
    assert all(as_read(d)["volume"] is None for d in after if d.source == LANE)
    assert all(as_read(d)["volume"] for d in after if d.source != LANE)
    if fault == "stuck_on":  # it is not called dead, as the one beside it is
        assert left(events)[LANE, first, "stuck_on"] == "on"
        assert (LANE, first, "stuck_off") not in left(events)


def test_a_loop_that_was_in_doubt_is_called_dead_when_it_is() -> None:
    flag = LoopFlag(0.6, 0.3)

    def turned(fault: str, end_ns: int) -> str | None:
        p = [0.05] + [0.95 * (each == fault) for each in FAULTS]
        return flag.step(p, end_ns, 30.0, traffic=False, at_once=True)

    assert (turned("undercount", 1), flag.fault) == ("on", "undercount")
    assert (turned("crosstalk", 2), flag.fault) == (None, "undercount")
    assert (turned("stuck_off", 3), flag.fault, flag.since_ns) == ("on", "stuck_off", 3)
    assert (turned("undercount", 4), flag.fault) == (None, "stuck_off")
