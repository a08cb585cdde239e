"""How far a segment's sweeps are in the outbox as raw records, over a kill in a rotation."""

from pathlib import Path

import pytest

from edge.acquire.stage import Stage, StageHeader, find_segments
from edge.gateway import rawdrafts
from edge.gateway.pipeline import Pipeline
from edge.gateway.rawdrafts import make_raw_drafts
from edge.gateway.recover import PreviousRun, recover
from edge.infer.judge import Judge, JudgeSetup
from edge.process.enginesetup import EngineSetup
from edge.process.inputmeanings import input_meanings
from edge.wire import raw_sweeps
from tests.kit.asread import as_read
from tests.kit.engine import AIR, S, sweeps

KEYS = {"hut_air": ("pm2_5", "temperature")}


@pytest.mark.parametrize("fits", [True, False])
def test_sweeps_that_a_segment_repeats_count_in_its_position_and_are_raw_once(
    tmp_path: Path, fits: bool
) -> None:
    setup = EngineSetup(devices=(AIR,), period_ns=5 * S)
    pipeline = Pipeline(setup, Judge(JudgeSetup(period_ns=5 * S)))
    pipeline.engine.start(0)
    first, early, later = sweeps("hut_air", [(t, (9.5, 20.0)) for t in (3.0, 6.0, 7.0)])
    stage = Stage(tmp_path, "boot", staged=StageHeader(input_meanings(setup), raw=True))
    stage.rotate(0, 5 * S, [], [])
    stage.add_sweeps([first])
    stage.add_sweeps([early])  # it came before the first window was closed
    stage.rotate(5 * S, 10 * S, [], [early])
    stage.add_sweeps([later])  # and killed before the commit of the first window
    before = PreviousRun(boot=1, segment=1, start_ns=0, raw=(1, 1))
    left = find_segments(tmp_path, "boot", 1)
    found = recover(pipeline, before, 1, left, 8 * S, 10 * S, None, fits=fits)
    [(keys, rows)] = found.raw
    assert keys == KEYS
    assert rows.take() == ([early, later], 0)  # the first is in the outbox already
    if fits:  # else a new segment begins
        assert found.segment is not None
        assert (found.segment.number, found.count) == (2, 2)  # where the next raw record begins


def test_more_sweeps_than_memory_allows_are_given_up_in_reading_back_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rawdrafts, "WAITING_VALUES", 10 * 4)  # two values, a time and a source each
    setup = EngineSetup(devices=(AIR,), period_ns=5 * S)
    pipeline = Pipeline(setup, Judge(JudgeSetup(period_ns=5 * S)))
    pipeline.engine.start(0)
    made = sweeps("hut_air", [(n / 10, (9.5, 20.0)) for n in range(30)])
    stage = Stage(tmp_path, "boot", staged=StageHeader(input_meanings(setup), raw=True))
    stage.rotate(0, 5 * S, [], [])
    for each in made:
        stage.add_sweeps([each])
    before = PreviousRun(boot=1, segment=1, start_ns=0, raw=(1, 5))
    found = recover(pipeline, before, 1, find_segments(tmp_path, "boot", 1), 4 * S, 5 * S, None)
    [(keys, rows)] = found.raw
    [draft] = make_raw_drafts(keys, *rows.take())
    assert as_read(draft)["given_up"] == 15
    assert [sweep.mono_ns for sweep in raw_sweeps(as_read(draft))[1]] == [
        s.mono_ns for s in made[20:]
    ]
    assert found.count == 30
