"""How far bytes are spared ends with kerbstone-link, and so does what is said of its budget."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge.gateway.datasaver import LEVEL_EXPIRES_NS, DataSaver
from edge.gateway.urgentevents import UrgentEvents
from tests.gateway.brokenparts import BROKEN, WELL, looked
from tests.gateway.issueparts import S, at
from tests.kit.clock import VirtualClock
from tests.kit.ports import CountedRetained

EXPIRES_S = LEVEL_EXPIRES_NS // S
USED_UP = {"level": 2, "used": 480, "budget": 500, "month": "2026-12"}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(1000 * S)


@pytest.fixture
def sender() -> CountedRetained:
    return CountedRetained()


@pytest.fixture
def saver(clock: VirtualClock, sender: CountedRetained) -> DataSaver:
    return DataSaver(clock, sender, UrgentEvents(clock))


def test_without_a_word_from_kerbstone_link_records_are_sent_as_usual(
    saver: DataSaver, sender: CountedRetained
) -> None:
    saver.set_level(USED_UP)
    saver.look((1000 + EXPIRES_S) * S)
    assert (saver.level.level, sender.saver_level) == (2, 2)
    saver.look((1001 + EXPIRES_S) * S)
    assert (saver.level.level, sender.saver_level, sender.statuses) == (0, 0, 2)


def test_a_budget_is_over_when_kerbstone_link_does_not_come_back_after_a_start(
    saver: DataSaver, sender: CountedRetained, tmp_path: Path
) -> None:
    """It was used up before the start; who has set no level since is not waited for without end."""
    parts = replace(WELL, **BROKEN["data_budget"])
    kept = looked(parts.watch(tmp_path), parts, 100).to_keep(at(100))["issues"]
    start = replace(WELL, saver=saver.level)
    watch = start.watch(tmp_path, 4)
    watch.restore(json.loads(json.dumps(kept)), at(1000))
    for after_s, kinds in ((EXPIRES_S, ["data_budget"]), (EXPIRES_S + 5, [])):
        saver.look((1000 + after_s) * S)
        start.saver = saver.level
        looked(watch, start, 1000 + after_s)
        assert [each.kind for each in watch.issues] == kinds
    assert sender.statuses == 0, "nothing was spared, and nothing changes"


def test_a_level_that_comes_late_counts(saver: DataSaver, sender: CountedRetained) -> None:
    saver.look((1001 + EXPIRES_S) * S)
    saver.set_level(USED_UP)
    assert (saver.level.level, sender.saver_level) == (2, 2)
