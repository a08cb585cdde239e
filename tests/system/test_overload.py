"""More than a box can do, and SIGSTOP in between: late, and not one edge or reading unaccounted."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.system.scene_overload import EVERY_S, FAST, SLOW, overloaded

pytestmark = [pytest.mark.scene, pytest.mark.timeout(600)]

DRAINED_S = 240.0  # for the last record, however busy the machine is
BUFFER = 1024  # edges that the kernel keeps of a line


def test_ten_thousand_questions_a_second_and_stops_cost_readings_and_no_edge(
    tmp_path: Path,
) -> None:
    with overloaded(tmp_path) as site:
        site.drive(5.0)
        for edges in (150, BUFFER + 300):  # the second one overflows
            site.stop(edges)
            site.drive(4.0)
        site.end()
        records = site.wait_reported(DRAINED_S)
        reported = site.reported(records)
    assert reported == site.made, "each pulse is counted once"
    lines: dict[str, list[dict[str, Any]]] = {}
    devices: dict[str, list[dict[str, Any]]] = {}
    for one in (each for each in records if "points" in each):
        kind = lines if one["source"] in reported else devices
        kind.setdefault(one["source"], []).append(one)
    for line in SLOW:
        qualities = sum((_quality(one, "energy_import") for one in lines[line]), Counter())
        del qualities["bad:gap"]  # a window that was over before the lines were open
        assert qualities == Counter(good=site.made[line]), "in the window in which it was"
        assert not any("lost_edges" in one for one in lines[line])
    lost = sum(one.get("lost_edges", 0) for one in lines[FAST])
    assert 200 <= lost <= BUFFER, "what the kernel's buffer could not hold is told"
    assert len(devices) == 100
    for found in devices.values():
        for one in found:
            due, counted = one["covered_s"] / EVERY_S, _quality(one, "power").total()
            assert due - 2 <= counted <= due + 2, "answered, or told as missing"
    (first, *_) = [one for one in records if one.get("event") == "overload"]
    assert first["rested_s"] > 1
    assert first["edges"] == 0


def _quality(record: dict[str, Any], point: str) -> Counter[str]:
    return Counter(record["points"][point]["quality"])
