"""The judge of the oracle is judged: what is whole passes, each kind of harm is found."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.oracle.found import Answer, PlatformFindings, PlatformRow, Truth
from tests.oracle.verdict import judge

S = 1_000_000
EPOCH, NEXT = 1 << 32, 2 << 32
STOPPED_US = 40 * S
KILLED_US, BACK_US = 14 * S, 17 * S  # nobody listened; a window ended in between
PER_WINDOW = 25  # answers in 5 s


def answers() -> dict[int, Answer]:
    """One each 0.2 s; 2 Wh a second."""
    return {n: Answer(1000 + n * 2 // 5, (n - 1) * S // 5 + 1) for n in range(1, 151)}


def energy(
    epoch: int, seq: int, start: int, end: int, numbers: list[int], before: int
) -> PlatformRow:
    reported = answers()
    wh = reported[numbers[-1]].wh
    watched = end - start - max(0, min(end, BACK_US) - max(start, KILLED_US))
    points = {
        "power": {
            "n": len(numbers), "min": float(numbers[0]), "max": float(numbers[-1]), "step": 0.1,
            "sum": sum(n - numbers[0] for n in numbers) * 10, "origin": numbers[0] * 10,
            "quality": {"good": len(numbers)},
        },
        "energy_import": {"last": wh / 1000, "delta": (wh - before) / 1000},
    }  # fmt: skip
    body = {"covered_s": watched / S, "points": points}
    return PlatformRow(epoch, "energy", seq, "m1", (start, end), end, body)


def lane(epoch: int, seq: int, start: int, end: int, volume: int) -> PlatformRow:
    watched = end - start - max(0, min(end, BACK_US) - max(start, KILLED_US))
    body = {"covered_s": watched / S, "volume": volume, "quality": {"good": 1}}
    return PlatformRow(epoch, "traffic", seq, "north", (start, end), end, body)


def whole() -> PlatformFindings:
    """Six windows of 5 s, a kill in the third; the second epoch is told by its outbox."""
    reported = answers()
    rows, last = [], reported[1].wh
    for i in range(6):
        start, end, epoch = 5 * i * S, 5 * (i + 1) * S, EPOCH if i < 2 else NEXT
        seq = i + 1 if i < 2 else i - 1
        inside = [n for n, answer in reported.items() if start <= answer.at_us < end
                  and not KILLED_US <= answer.at_us < BACK_US]  # fmt: skip
        rows += [energy(epoch, seq, start, end, inside, last)]
        rows += [lane(epoch, seq, start, end, i != 3)]  # the fourth passes in the gap

        last = reported[inside[-1]].wh
    former = {"epoch": EPOCH, "last": {"energy": 2, "traffic": 2}}
    gap = {"event": "gap", "gap": [KILLED_US, BACK_US], "former": former}
    rows.append(PlatformRow(NEXT, "event", 1, "gateway", (BACK_US, BACK_US), BACK_US, gap))
    counters = {(NEXT, "energy"): 4, (NEXT, "traffic"): 4, (NEXT, "event"): 1}
    return PlatformFindings(rows, 0, 0, counters)


def truth() -> Truth:
    vehicles = [(5 * i * S + S, 5 * i * S + 2 * S) for i in range(6)]
    return Truth({1: answers()}, {"north": vehicles})


def place(found: PlatformFindings, stream: str, seq: int, epoch: int = NEXT) -> int:
    return next(i for i, r in enumerate(found.rows)
                if (r.epoch, r.stream, r.seq) == (epoch, stream, seq))  # fmt: skip


def changed(stream: str, **words: Any) -> Callable[[PlatformFindings], None]:
    """A record whose body says something else."""

    def harm(found: PlatformFindings) -> None:
        at = place(found, stream, 3)
        row = found.rows[at]
        found.rows[at] = replace(row, body={**row.body, **words})

    return harm


def point(key: str, **words: Any) -> Callable[[PlatformFindings], None]:
    def harm(found: PlatformFindings) -> None:
        points = found.rows[place(found, "energy", 3)].body["points"]
        points[key] = {**points[key], **words}

    return harm


def lose(stream: str, seq: int, epoch: int = NEXT) -> Callable[[PlatformFindings], None]:
    def harm(found: PlatformFindings) -> None:
        del found.rows[place(found, stream, seq, epoch)]

    return harm


def other_window(found: PlatformFindings) -> None:
    for seq, volume in ((1, 2), (2, 0)):
        at = place(found, "traffic", seq, EPOCH)
        row = found.rows[at]
        found.rows[at] = replace(row, body={**row.body, "volume": volume})


def twice(found: PlatformFindings) -> None:
    found.rows.append(found.rows[0])


def twice_under_another_number(found: PlatformFindings) -> None:
    found.rows.append(replace(found.rows[place(found, "energy", 3)], seq=5))
    found.counters[NEXT, "energy"] = 5


def beyond(found: PlatformFindings) -> None:
    found.rows[place(found, "event", 1)].body["former"]["last"]["energy"] = 1


def old_row_left(found: PlatformFindings) -> None:
    found.kept[NEXT, "energy", 5] = 30 * S
    found.counters[NEXT, "energy"] = 5


def dropped_but_there(found: PlatformFindings) -> None:
    body = {"event": "drop", "epoch_of": EPOCH, "stream_of": "energy", "range": [1, 1], "count": 1}
    found.rows.append(PlatformRow(NEXT, "event", 2, "outbox", (20 * S, 20 * S), 20 * S, body))
    found.counters[NEXT, "event"] = 2


HARMS: dict[str, tuple[Callable[[PlatformFindings], None], str]] = {
    "a record is missing": (lose("energy", 3), "no drop says so"),
    "the last of a former epoch is missing": (lose("traffic", 2, EPOCH), "no drop says so"),
    "the gap is not declared": (lose("event", 1), "gaps name less"),
    "a number twice": (twice, "told twice"),
    "the same under another number": (twice_under_another_number, "overlap"),
    "more than the gateway says": (beyond, "was the last"),
    "a drop of what is there": (dropped_but_there, "are declared"),
    "a row without a receipt": (old_row_left, "still in the outbox"),
    "less energy": (point("energy_import", delta=0.0), "add up to"),
    "another register": (point("energy_import", last=1.5), "not as answered"),
    "another reading": (point("power", sum=0), "the sum of answers"),
    "a reading less": (point("power", n=24), "are missing"),
    "time not watched": (changed("energy", covered_s=3.0), "gaps name less"),
    "a vehicle too many": (changed("traffic", volume=3), "vehicles are counted"),
    "a vehicle in a wrong window": (other_window, "vehicles are counted"),
    "a vehicle less": (changed("traffic", volume=0), "vehicles are counted"),
}


def test_what_is_whole_has_no_findings() -> None:
    verdict = judge(whole(), truth(), STOPPED_US)
    assert verdict.findings == []
    assert verdict.figures["readings"] == 6 * PER_WINDOW - 15
    assert verdict.figures["readings_in_gaps"] == 15


@pytest.mark.parametrize("name", HARMS)
def test_each_harm_is_found(name: str) -> None:
    harm, word = HARMS[name]
    found = whole()
    harm(found)
    findings = judge(found, truth(), STOPPED_US).findings
    assert any(word in finding for finding in findings), findings


def test_conflicts_and_what_cannot_be_read_are_findings() -> None:
    verdict = judge(replace(whole(), conflicts=1, undecodable=2), truth(), STOPPED_US)
    assert len(verdict.findings) == 2
