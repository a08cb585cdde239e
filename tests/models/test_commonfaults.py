"""The counter of faults of several loops: what it plants is found, and sound streets are silent."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from models.congestion.scenarios.simstreet import SAMPLE, SimStreet, load_streets
from models.loopfault import controllerlogs
from models.loopfault.commonfaults import (
    MONDAY_S,
    card_report,
    count_logs,
    counted_slots,
    fault_turns,
    invert_loop,
    keys_of,
    sound_report,
    street_slots,
)


@pytest.fixture(scope="module")
def streets() -> list[SimStreet]:
    return load_streets(SAMPLE)


def test_sound_streets_are_silent_and_a_planted_card_is_named(streets: list[SimStreet]) -> None:
    assert sound_report(streets).endswith("site-days: nothing said")
    assert f"{len(streets)} of {len(streets)} named as one" in card_report(streets)


def test_planted_inversions_are_found(streets: list[SimStreet]) -> None:
    found = fault_turns(keys_of(streets[0]), street_slots(invert_loop(streets[0])), MONDAY_S)
    assert {fault for _, fault, _ in found} == {"inverted"}


def test_logs_become_streets_and_counts(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    start = datetime(2024, 5, 13, 15)  # noqa: DTZ001 (as the samples have it)
    edges = [(7, 82 - k % 2, 3, start + timedelta(seconds=5.0 * k)) for k in range(80)]
    rows = [(227, 82, 9, start), *edges, (7, 82, 3, start + timedelta(seconds=395.0))]
    names = ("DeviceId", "EventId", "Parameter", "TimeStamp")
    table = arrow.table({n: [row[i] for row in rows] for i, n in enumerate(names)})
    parquet.write_table(table, tmp_path / controllerlogs.EVENTS)
    roles = {"DeviceId": [7], "Phase": [2], "Function": ["Advance"], "Parameter": [3]}
    parquet.write_table(arrow.table(roles), tmp_path / controllerlogs.ROLES)
    by_name = {street.name: street for street in controllerlogs.logged_streets(tmp_path)}
    assert [(p.lane, p.position) for p in by_name["7"].loops] == [("7_3", "advance")]
    assert np.allclose(by_name["7"].stays[0][:2], [[0.0, 5.0], [10.0, 15.0]])
    assert len(by_name["7"].stays[0]) == 40


def test_a_gap_in_counts_is_no_silence(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    start = datetime(2024, 5, 1)  # noqa: DTZ001 (a Wednesday)
    bins = [i for i in range(96 * 3) if not 140 <= i < 180]
    data = {
        "TimeStamp": [start + timedelta(minutes=15 * i) for i in bins],
        "DeviceId": [2] * len(bins),
        "Detector": [5] * len(bins),
        "Total": [200.0] * len(bins),
    }
    path = tmp_path / "counts.parquet"
    parquet.write_table(arrow.table(data), path)
    (counts,) = controllerlogs.logged_counts(path)
    series = counts.from_monday()["5"]
    assert np.isnan(series[2 * 96 + 140 : 2 * 96 + 180]).all()
    played = list(counted_slots({"5": series}, 1))
    assert len(played) == len(bins) * 30
    assert sum(tick.stays_left_out for slot in played for tick in slot.values()) == 200 * len(bins)
    assert all(line.endswith("nothing said") for line in count_logs(path))
