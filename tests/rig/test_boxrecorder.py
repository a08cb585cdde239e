"""Recording a gateway for longer than its recorder remembers, and what ends that."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge.control.protocol import VerbError
from edge.gateway.recorderverb import RecorderVerb
from edge.rig.boxrecorder import ANEW, BoxRecorder
from edge.rig.recordedcontacts import loop_lines
from edge.rig.recordedinput import RecordedInput, entry_changes
from edge.rig.recordedscenario import recorded_files
from edge.rig.scenariosite import ScenarioSite
from edge.wire.contract.body import body_map
from tests.gateway.recordedstreet import TRACE_S, RecordedStreet, trace
from tests.kit.engine import S
from tests.kit.virtualgateway import MONO_0


class Box:
    """The street of the demo with its recorder, asked as a daemon is. `events`: what happens once
    so much is recorded."""

    def __init__(self, folder: Path, limit_bytes: int = 4 << 20) -> None:
        self.street = RecordedStreet(folder, limit_bytes=limit_bytes)
        self.street.live(30)
        self.recorder = BoxRecorder(self.ask, self.tell, self.sleep, self.now_s)
        self.freezes = 0
        self.events: list[tuple[float, Any]] = []
        self.said: list[tuple[float, str]] = []

    def ask(self, **arguments: Any) -> Mapping[str, Any]:
        verb = RecorderVerb(self.street.recorder, self.street.committer, self.street)
        self.freezes += arguments["act"] == "freeze"
        return asyncio.run(_answer(verb, arguments))

    def sleep(self, seconds: float) -> None:
        self.street.live(max(0.5, round(seconds * 2) / 2))

    def now_s(self) -> float:
        return self.street.now_ns / S

    def tell(self, recorded_s: float, text: str) -> None:
        self.said.append((recorded_s, text))
        if self.events and recorded_s >= self.events[0][0]:
            self.events.pop(0)[1]()

    def edges(self, recorded: RecordedInput) -> list[tuple[str, int]]:
        """Line and ns of the loop edges in it, of its own time."""
        lines = {one.source: line for line, one in loop_lines(self.street.site).items()}
        return sorted(
            (lines[change.source], round(change.t_s * 1e9) + recorded.head.from_ns)
            for entry in recorded.entries()
            for change in entry_changes(entry, recorded.head.from_ns)
            if change.source in lines and not change.found
        )

    def driven(self, from_ns: int, to_ns: int) -> list[tuple[str, int]]:
        """What came in, by the trace itself."""
        first_ns = MONO_0 - TRACE_S * S
        return sorted(
            (edge.line, edge.mono_ns + first_ns)
            for edge in trace()
            if from_ns <= edge.mono_ns + first_ns < to_ns
        )


async def _answer(verb: RecorderVerb, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return await verb.answer(arguments)


def test_a_recording_is_longer_than_the_ring_and_has_each_edge_once(tmp_path: Path) -> None:
    box = Box(tmp_path)
    recorded = box.recorder.record(900.0)
    lasted_s = (recorded.to_ns - recorded.head.from_ns) / S
    assert 900 <= lasted_s < 920
    assert box.recorder.ending == ""
    assert 4 < box.freezes < 20
    ends = [window.end.end_ns for window in recorded.windows]
    assert ends == sorted(set(ends))
    assert {b - a for a, b in pairwise(ends)} == {5 * S}
    found = box.edges(recorded)
    within = [one for one in found if recorded.head.from_ns <= one[1] < recorded.to_ns]
    assert within == box.driven(recorded.head.from_ns, recorded.to_ns)
    assert len(within) > 400
    assert [text for _, text in box.said if "to go" in text]


def test_what_the_recording_says_is_what_the_gateway_said(tmp_path: Path) -> None:
    box = Box(tmp_path)
    recorded = box.recorder.record(120.0)
    files = recorded_files(recorded, ScenarioSite(box.street.site), "A street")
    bodies = [
        body_map(draft.body)
        for commit in box.street.writer.commits
        for draft in commit.drafts
        if draft.stream == "traffic" and draft.source == "north_1"
        and recorded.head.from_ns < draft.to_ns <= recorded.to_ns
    ]  # fmt: skip
    count = sum(body["volume"] for body in bodies)
    assert count > 5
    assert f'name = "The box said: {count} vehicles on north_1"' in files["scenario.toml"]
    assert files["edges.csv"].startswith("t_ms,line,level\n0,north_1_lead,=0\n")
    assert files["values/cabinet.csv"].startswith("t_s,voltage_l1,")
    assert files["values/cabinet.csv"].count("\n") > 100


def test_ctrl_c_gives_what_there_is(tmp_path: Path) -> None:
    def break_off() -> None:
        raise KeyboardInterrupt

    box = Box(tmp_path)
    box.events = [(60.0, break_off)]
    recorded = box.recorder.record(900.0)
    assert box.recorder.ending == "it was broken off"
    assert 60 <= (recorded.to_ns - recorded.head.from_ns) / S < 70


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    def break_off() -> None:
        box.events = [(0.0, break_off)]
        raise KeyboardInterrupt

    box = Box(tmp_path)
    box.events = [(300.0, break_off)]
    recorded = box.recorder.record(900.0)
    assert box.recorder.ending == "it was broken off"
    assert 0 < (recorded.to_ns - recorded.head.from_ns) / S < 300


def test_a_ring_that_begins_anew_ends_the_recording(tmp_path: Path) -> None:
    def restart() -> None:
        box.street.recorder.begin_anew()
        box.street.live(20)

    box = Box(tmp_path)
    box.events = [(400.0, restart)]
    recorded = box.recorder.record(900.0)
    assert box.recorder.ending == ANEW
    assert 100 < (recorded.to_ns - recorded.head.from_ns) / S < 400


def test_a_small_ring_is_asked_more_often(tmp_path: Path) -> None:
    usual, small = Box(_made(tmp_path / "a")), Box(_made(tmp_path / "b"), limit_bytes=320 << 10)
    for box in (usual, small):
        recorded = box.recorder.record(400.0)
        assert box.recorder.ending == ""
        assert (recorded.to_ns - recorded.head.from_ns) / S >= 400
    assert small.freezes > usual.freezes


def test_a_daemon_that_is_gone_ends_it_and_one_that_was_never_there_is_an_error(
    tmp_path: Path,
) -> None:
    def gone(**_: Any) -> Mapping[str, Any]:
        raise VerbError("no daemon runs")

    def go() -> None:
        box.recorder._ask = gone

    box = Box(tmp_path)
    box.events = [(250.0, go)]
    recorded = box.recorder.record(900.0)
    assert box.recorder.ending == "no daemon runs"
    assert (recorded.to_ns - recorded.head.from_ns) / S > 100
    with pytest.raises(VerbError, match="no daemon runs"):
        BoxRecorder(gone, lambda *_: None).record(60.0)


def test_times_of_the_real_world_are_told_where_the_box_knew_them(tmp_path: Path) -> None:
    box = Box(tmp_path)
    recorded = box.recorder.record(30.0)
    site = ScenarioSite(box.street.site)
    assert "Z to 20" in recorded_files(recorded, site, "x")["scenario.toml"]
    blind = replace(recorded, head=replace(recorded.head, wall_offset_ns=None))
    text = recorded_files(blind, site, "x")["scenario.toml"]
    assert "at a time that the box did not know" in text


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
