"""A loop that is not believed: what it counts is nowhere called good, from edges to records."""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from edge.core import Contact, Draft, Stream
from edge.gateway.pipeline import Pipeline
from edge.infer.judge import Judge, JudgeSetup, LaneSite
from edge.infer.seriesfeatures import series_samples
from edge.process.engine import Engine, EngineSetup, LaneSetup
from models import BUNDLES
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, S, car, found, presences

NAMES = ("n_1", "n_2")
Lines = dict[str, list[Contact]]
Mode = Literal["presence", "pulse"]


def traffic(minutes: int, gap_s: float = 6.0) -> Lines:
    """Two lanes with pairs, each with a vehicle every `gap_s` on the average."""
    chance = random.Random(5)
    out: Lines = {}
    for lane in NAMES:
        at = 1.0
        while at < 60 * minutes - 10:
            long_m = 14.0 if chance.random() < 0.4 else chance.uniform(3.8, 5.0)
            for each in car(lane, at, chance.gauss(50, 4), long_m):
                out.setdefault(each.source, []).append(each)
            at += 1.5 + chance.expovariate(1.0 / (gap_s - 1.5))
    return out


def pulses(lines: Lines) -> Lines:
    """The same where each card gives a pulse of 125 ms for a vehicle."""
    return {
        name: [
            e for c in line if c.on for e in presences(name, (c.mono_ns / S, c.mono_ns / S + 0.125))
        ]
        for name, line in lines.items()
    }


def lived(lines: Lines, minutes: int, folder: Path, mode: Mode = "presence") -> list[Draft]:
    """All that goes out: records and events."""
    lanes = tuple(LaneSetup(name, "north", spacing_m=4.0, mode=mode) for name in NAMES)
    sites = tuple(
        LaneSite(name, "north", "corridor", paired=True, spacing_m=4.0, mode=mode) for name in NAMES
    )
    setup = JudgeSetup(sites, MINUTE, congestion=False, hurry=False)
    pipeline = Pipeline(Engine(EngineSetup(lanes)), Judge(setup, folder))
    pipeline.load()
    pipeline.engine.start(0)
    out: list[Draft] = []
    edges = sorted((each for line in lines.values() for each in line), key=lambda c: c.mono_ns)
    sources = (f"{name}.{part}" for name in NAMES for part in ("lead", "trail"))
    pipeline.engine.contacts(found(*sources))
    at = 0
    for minute in range(1, minutes + 1):
        while at < len(edges) and edges[at].mono_ns < minute * MINUTE:
            pipeline.engine.contacts([edges[at]])
            at += 1
        out += pipeline.close(minute * MINUTE, wall_s=1.79e9 + 60.0 * minute)
    return out


def records(out: list[Draft], lane: str) -> list[dict[str, Any]]:
    return [as_read(d) for d in out if d.stream is Stream.TRAFFIC and d.source == lane]


def raised(out: list[Draft], lane: str, fault: str) -> int:
    """The minute with whose end a fault was told of all loops that have it."""
    reported = [d for d in out if (d.source, as_read(d).get("fault")) == (lane, fault)]
    assert reported
    assert all(as_read(each)["state"] == "on" for each in reported)
    return max(each.to_ns for each in reported) // MINUTE


@pytest.fixture(params=["model", "rule"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the models are, or are not."""
    return BUNDLES if request.param == "model" else tmp_path


MINUTES = 60


@pytest.mark.parametrize("mode", ["presence", "pulse"])
def test_a_dead_lead_loop_leaves_the_counting_to_the_trail_loop(folder: Path, mode: Mode) -> None:
    lines = traffic(MINUTES) if mode == "presence" else pulses(traffic(MINUTES))
    lines["n_1.lead"] = [each for each in lines["n_1.lead"] if each.mono_ns < 20 * MINUTE]
    out = lived(lines, MINUTES, folder, mode)
    known = raised(out, "n_1", "stuck_off")
    assert 20 < known < 30
    reported = records(out, "n_1")[known - 1 :]
    assert len(reported) >= 30
    rises = [each.mono_ns // MINUTE for each in lines["n_1.trail"] if each.on]
    for minute, each in enumerate(reported, known - 1):
        assert each["volume"] == rises.count(minute) > 0
        assert (each["counted_by"], each["health"]) == ("trail", "stuck_off")
        null = "bad:loop" if mode == "presence" else "bad:suppressed"
        assert each["quality"].keys() == {"good", null}
        assert abs(each["quality"]["good"] - each["volume"]) <= (mode == "pulse")  # told as it ends
        assert (each["occupancy"] is None) == (mode == "pulse")
        assert each["speed"] is each["length"] is None
    sound = records(out, "n_2")
    assert all(each["health"] == "ok" and "counted_by" not in each for each in sound)
    odd = [as_read(d) for d in out if as_read(d).get("event") == "anomaly" and d.source == "n_1"]
    assert not [each for each in odd if each["point"] == "volume" and each["state"] == "on"]


def test_the_series_are_judged_and_learnt_by_what_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A dead loop's zeros are not usual, and are not odd."""
    seen: list[Mapping[str, Any]] = []

    def spied(drafts: Sequence[Draft], *rest: Any) -> dict[Any, Any]:
        seen.extend(as_read(d) for d in drafts if d.stream is Stream.TRAFFIC and d.source == "n_1")
        return series_samples(drafts, *rest)

    monkeypatch.setattr("edge.infer.judge.series_samples", spied)
    lines = traffic(40)
    for part in ("lead", "trail"):
        name = f"n_1.{part}"
        lines[name] = [each for each in lines[name] if each.mono_ns < 10 * MINUTE]
    lines["n_1.trail"] += presences("n_1.trail", *((600 + i, 600.4 + i) for i in range(0, 1700, 9)))
    out = lived(lines, 40, tmp_path)
    known = raised(out, "n_1", "stuck_off")
    sent = records(out, "n_1")
    assert [each["volume"] for each in seen] == [each["volume"] for each in sent]
    assert all(each["volume"] > 0 for each in seen[known - 1 : 37])


def test_what_a_loop_counts_that_breaks_vehicles_up_is_not_called_good(folder: Path) -> None:
    lines = traffic(MINUTES)
    sound = lived(lines, MINUTES, folder)
    for line in ("n_1.lead", "n_1.trail"):
        lines[line] = list(broken(lines[line]))
    out = lived(lines, MINUTES, folder)
    known = raised(out, "n_1", "breakup")
    reported = records(out, "n_1")[known - 1 :]
    assert len(reported) >= 15
    for each in reported:
        assert "good" not in each["quality"]
        assert each["quality"]["uncertain:loop"] == each["volume"] > 0
        assert each["quality"]["bad:loop"] == 1
        assert each["health"] == "breakup"
        assert each["speed"] is None
    counted = sum(each["volume"] for each in reported)
    passed = sum(each["volume"] for each in records(sound, "n_1")[known - 1 :])
    assert counted > 1.2 * passed, "that is why"


def broken(line: list[Contact]) -> Iterator[Contact]:
    """Long vehicles come in three: of their holes one is so short that it is joined, one is not."""
    for on, off in zip(line[::2], line[1::2], strict=False):
        length_s = (off.mono_ns - on.mono_ns) / 1e9
        yield on
        if length_s > 0.6:
            first, second = (on.mono_ns / 1e9 + share * length_s for share in (0.4, 0.7))
            gap = presences(on.source, (first, first + 0.07), (second, second + 0.16))
            yield from (Contact(e.source, not e.on, e.mono_ns) for e in gap)
        yield off
